#include <cstdlib>

#include "http/curl_transport.h"

namespace imagebuild::http {
namespace {

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

}  // namespace

ProxySettings ProxySettings::from_environment() {
  return {.for_http = first_set({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}),
          .for_https = first_set({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}),
          .except = first_set({"no_proxy", "NO_PROXY"})};
}

}  // namespace imagebuild::http
