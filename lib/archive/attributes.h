// Owner, permission bits, extended attributes and time of files on disk, as a Node has them. The process's umask does
// not matter. Without `keep_owners` the owner, set-id bits and the attributes security.* and trusted.* are left out.
#pragma once

#include <string>

#include "archive/node.h"
#include "base/result.h"

namespace imagebuild::archive {

// Everything, to an open regular file (after its content: writing takes set-id bits and capabilities away).
Status set_file_attributes(int fd, const Node& node, bool keep_owners);

// Everything but the time to an open folder; its owner keeps access until set_folder_end() says otherwise.
Status set_folder_attributes(int fd, const Node& node, bool keep_owners);
// The final permission bits and the time of a folder, once nothing is made in it any more.
Status set_folder_end(int fd, std::uint32_t mode, std::int64_t mtime_s, bool keep_owners);

// Everything, to `name` in the open folder, which is no regular file or folder. A symlink is not followed.
Status set_special_attributes(int folder_fd, const std::string& name, const Node& node, bool keep_owners);

}  // namespace imagebuild::archive
