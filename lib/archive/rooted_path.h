// Opens paths below a folder without ever leaving it, even when another process changes links meanwhile.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild::archive {

// How the kernel is asked: openat2(2) where it has that (Linux 5.6), else one part at a time. kWalk forces the second.
enum class Resolution { kAny, kWalk };

// Opens the clean path `path` below `root_fd`; a symlink anywhere on the way, or as the last part, is an error.
// `flags` as for open(2), without O_CREAT.
Result<UniqueFd> open_beneath(int root_fd, const std::string& path, int flags, Resolution how = Resolution::kAny);

// Called for each folder that open_folder() makes: the open folder it was made in, its name, and its path from the root
// without symlinks.
using FolderMade = std::function<Status(int parent_fd, const std::string& name, const std::string& path)>;

// Opens the folder that the clean path `path` leads to when `root_fd` is the root of the file system: symlinks are
// followed, "/" and ".." in them stay inside, and ".." behind a missing folder takes that back. The descriptor is
// O_PATH. If it does not exist or is no folder: with `made` every missing folder is made, with mode 0700, and something
// else on the way is kCorrupt; without, both are kNotFound. More than 40 links are kCorrupt.
Result<UniqueFd> open_folder(int root_fd, const std::string& path, const FolderMade& made,
                             Resolution how = Resolution::kAny);

}  // namespace imagebuild::archive
