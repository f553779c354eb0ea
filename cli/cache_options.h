// The command line of `imagebuild cache`, parsed.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "cli/options.h"

namespace imagebuild::cli {

// CacheOptions, HelpText or UsageError; `arguments` begins with "cache".
Command parse_cache(std::span<const std::string> arguments, const Environment& environment);

// "168h", "7d", "1h30m": whole numbers of weeks (w), days (d), hours (h), minutes (m) and seconds (s).
Result<std::chrono::seconds> parse_age(std::string_view text);

}  // namespace imagebuild::cli
