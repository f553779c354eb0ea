// What the store's cache already has of a plan, looked up without running or keeping anything.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "archive/compress.h"

namespace imagebuild::cli {

struct StageOutlook {
  bool is_whole = false;  // Nothing would be run.
  int steps = 0;          // Else so many of its first steps are there.
  std::string changed;    // Else what is new since the last build ("src/main.c changed"); empty when that is not known.
  bool operator==(const StageOutlook&) const = default;
};

// By stage, in plan order; nothing for a stage that cannot be judged before another one was built, or whose files are
// still to be fetched. `volume` has what preparing put there and gets what the cache has. Without a cache below `store`
// there is nothing to tell.
std::vector<std::optional<StageOutlook>> look_ahead(const api::Plan& plan, const std::filesystem::path& volume,
                                                    const std::filesystem::path& store, const std::string& scope,
                                                    archive::Compression compression);

}  // namespace imagebuild::cli
