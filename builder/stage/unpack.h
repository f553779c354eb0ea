// ADD of a local tar archive: its entries take the place of the file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/stream.h"
#include "builder/stage/copy_target.h"

namespace imagebuild::builder {

// Puts what the uncompressed tar holds below `folder`, with the archive's own modes and owners unless `owner` is given.
// Content is kept in a nameless file in `spool_folder` for as long as an entry needs it.
Status unpack(ByteSource& tar, const std::string& folder, std::optional<Owner> owner,
              const std::filesystem::path& spool_folder, CopyTarget& target);

}  // namespace imagebuild::builder
