// Refusals as the OCI distribution specification words them.
#pragma once

#include <string>

#include "fakes/http_server.h"

namespace imagebuild::fakes {

inline std::string errors(const std::string& code, const std::string& message) {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"("}]})";
}

inline void fail(Exchange& exchange, int status, const std::string& code, const std::string& message) {
  exchange.respond(status, {{"Content-Type", "application/json"}}, errors(code, message));
}

}  // namespace imagebuild::fakes
