// `imagebuild cache`: what the store keeps between builds, and how it is removed.
#pragma once

#include "cli/options.h"

namespace imagebuild::cli {

// Prints to standard output, notes to standard error. kExitInfrastructure when the machine failed or a running build
// kept --max-size from being reached.
int cache_command(const CacheOptions& options);

}  // namespace imagebuild::cli
