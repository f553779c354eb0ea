// A failure as JSON, for everything that carries one.
#pragma once

#include <nlohmann/json.hpp>

#include "api/json_reader.h"
#include "api/report.h"

namespace imagebuild::api {

inline nlohmann::json failure_json(const Failure& failure) {
  return {{"stage", failure.stage},      {"step", failure.step},       {"line", failure.at.line},
          {"column", failure.at.column}, {"code", failure.code},       {"exitCode", failure.exit_code},
          {"message", failure.message},  {"logTail", failure.log_tail}};
}

inline Failure read_failure(JsonReader in) {
  Failure failure;
  failure.stage = in.text("stage");
  failure.step = static_cast<int>(in.number("step"));
  failure.at = SourceLine{static_cast<int>(in.number("line")), static_cast<int>(in.number("column"))};
  failure.code = in.text("code");
  failure.exit_code = static_cast<int>(in.number("exitCode"));
  failure.message = in.text("message");
  failure.log_tail = in.texts("logTail");
  return failure;
}

}  // namespace imagebuild::api
