// A stage's inputs as JSON, to be compared with those of a later build. Values are cut: they tell that something
// changed, and never decide what is taken from a cache.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "build/cache_key.h"

namespace imagebuild::builder {

std::string inputs_json(const build::StageInputs& inputs);
Result<build::StageInputs> parse_inputs(std::string_view json);
// As they are after inputs_json() and parse_inputs().
build::StageInputs cut_values(build::StageInputs inputs);

}  // namespace imagebuild::builder
