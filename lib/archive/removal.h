// Removes trees on disk without following a symlink.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/result.h"

namespace imagebuild::archive {

// What tells one file or folder of the machine from all others, as long as it exists.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
  bool operator<(const FileId& other) const {
    return device != other.device ? device < other.device : inode < other.inode;
  }
};

struct RemovalRules {
  // What stays, by its folder and name; the folders it lies in stay too. Null: nothing does.
  std::function<bool(const FileId& folder, const std::string& name)> stays;
  // Told about each folder that went; may be null.
  std::function<void(const FileId& folder)> folder_gone;
};

// Removes `name` in the open folder, and everything below it. That it does not exist is fine. More than 512 folders
// inside each other are kLimit.
Status remove_tree(int folder_fd, const std::string& name, const RemovalRules& rules);

// Removes everything in the open folder (which may be O_PATH) but not the folder.
Status remove_children(int folder_fd, const RemovalRules& rules);

}  // namespace imagebuild::archive
