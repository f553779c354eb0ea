// What `imagebuild cache` prints. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/store_contents.h"

namespace imagebuild::cli {

// A line for each thing, below a head line; how long ago it was used is told from `now_s` (seconds since 1970).
std::string list_text(const std::vector<KeptThing>& things, std::int64_t now_s);
// An array of {"kind", "id", "title", "size", "lastUsed"}; kinds are "result", "base" and "run-cache".
std::string list_json(const std::vector<KeptThing>& things);

std::string usage_text(const StoreUsage& usage);
// {"results": {"count", "bytes"}, "bases": …, "runCaches": …, "bytes"}
std::string usage_json(const StoreUsage& usage);

std::string prune_text(const PruneOutcome& outcome);
// {"freedBytes", "leftBytes", "buildRuns"}
std::string prune_json(const PruneOutcome& outcome);

}  // namespace imagebuild::cli
