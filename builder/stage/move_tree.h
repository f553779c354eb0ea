// Moving and removing whole trees of a live root, by open folders and names.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

// Copies what `tree` has at the resolved `path`, a folder with everything in it or anything else, to `name` in the open
// folder `to_fd`, where nothing may be yet. Owners, modes, times (in seconds), links and attributes are kept; with
// `as_root` everything belongs to root.
Status copy_tree(const TreeView& tree, const std::string& path, bool as_root, int to_fd, const std::string& name,
                 std::stop_token stop);

// Removes whatever is called `name` in the folder; nothing there is success. No link is followed.
Status remove_tree(int folder_fd, const std::string& name);

// Renames. Where the kernel cannot (a folder of a lower layer of an overlay, another file system) it is a copy, and a
// removal of the original.
Status move_tree(int from_fd, const std::string& from, int to_fd, const std::string& to, std::stop_token stop);

}  // namespace imagebuild::builder
