// Checks a spec for what the API server does not: what CEL cannot see, and what servers before 1.25 let pass.
#pragma once

#include <string>
#include <vector>

#include "api/image_build_spec.h"

namespace imagebuild::api {

struct Problem {
  std::string field;    // "spec.output.image", "spec.stages[base].resources.limits.cpu"
  std::string message;  // What is wrong and what to do, without a final full stop.
  bool operator==(const Problem&) const = default;
};

// All problems, in the order of the fields; none for a spec that can be built.
std::vector<Problem> validate(const ImageBuildSpec& spec);

// One text for a condition: the first problems, and how many more there are.
std::string problems_text(const std::vector<Problem>& problems);

}  // namespace imagebuild::api
