// `imagebuild plan`: solves and shows, runs nothing.
#pragma once

#include "cli/options.h"

namespace imagebuild::cli {

// Prints the plan on standard output; returns the exit status.
int plan_command(const PlanOptions& options);

}  // namespace imagebuild::cli
