// Checks where a build keeps the results of its stages.
#pragma once

#include <vector>

#include "api/validate.h"

namespace imagebuild::api {

// The problems' fields begin with "spec.cache".
std::vector<Problem> cache_problems(const CacheSettings& cache);

}  // namespace imagebuild::api
