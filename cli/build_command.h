// `imagebuild build`, from the checked command line to the exit status.
#pragma once

#include "cli/options.h"

namespace imagebuild::cli {

// Call it before the process has threads. Ends the process by the signal when one stopped the build, after everything
// of the build was removed.
int build_command(const BuildOptions& options, const Environment& environment);

}  // namespace imagebuild::cli
