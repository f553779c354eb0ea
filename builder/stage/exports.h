// What leaves a stage: the paths that other stages copy, as one tar and its index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

// Writes `tar` and `index` with everything that a COPY of one of `patterns` from `root` can reach: what they match with
// all below it, the folders above, and the symlinks on the way with what they lead to. A pattern that matches nothing
// adds nothing: the COPY that wants it says so. `**` is read as COPY --parents does, too. Returns the content's bytes.
Result<std::uint64_t> write_exports(const TreeView& root, const std::vector<std::string>& patterns,
                                    const std::filesystem::path& tar, const std::filesystem::path& index,
                                    std::stop_token stop);

}  // namespace imagebuild::builder
