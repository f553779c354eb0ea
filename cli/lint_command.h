// `imagebuild lint`: what is wrong or doubtful about a Dockerfile, without building it.
#pragma once

#include "cli/options.h"

namespace imagebuild::cli {

// Prints to standard output. kExitOk when nothing was found, kExitFailed otherwise (see LintOptions::warn_only).
int lint_command(const LintOptions& options);

}  // namespace imagebuild::cli
