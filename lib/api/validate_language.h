// Checks what a spec gives to the Dockerfile's language: platforms, named contexts, SSH keys, caches, and what holds
// for every RUN.
#pragma once

#include <vector>

#include "api/validate.h"

namespace imagebuild::api {

std::vector<Problem> language_problems(const ImageBuildSpec& spec);

}  // namespace imagebuild::api
