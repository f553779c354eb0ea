// What a build does not fail on, but its user should know.
#pragma once

#include <string>

#include "api/source_line.h"

namespace imagebuild::api {

struct Warning {
  std::string rule;     // Its page is docs/rules/<rule>.md; empty for a remark that no rule makes.
  std::string message;  // One sentence: what, why, and what to do.
  SourceLine at;        // In the Dockerfile; line 0: nowhere in it.
  bool operator==(const Warning&) const = default;
};

}  // namespace imagebuild::api
