// The command line of `imagebuild lint`, parsed.
#pragma once

#include <span>
#include <string>

#include "cli/options.h"

namespace imagebuild::cli {

// LintOptions, HelpText or UsageError; `arguments` begins with "lint".
Command parse_lint(std::span<const std::string> arguments, const Environment& environment);

}  // namespace imagebuild::cli
