// Files and folders that a RUN needs for a while and that must leave no trace: mount points of secrets, and secrets
// themselves where nothing can be mounted.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild::builder {

class Footprints {
 public:
  // Below the open folder `root_fd`, which must outlive this.
  explicit Footprints(int root_fd) : root_fd_(root_fd) {}
  Footprints(const Footprints&) = delete;
  Footprints& operator=(const Footprints&) = delete;
  // Removes what remains, in reverse.
  ~Footprints() { remove(); }

  struct Place {
    std::string path;      // Absolute, with the symlinks of its folders resolved.
    bool existed = false;  // Something was there before, and stays.
    UniqueFd file;         // Of the new file, for writing; invalid when it existed.
  };
  // Makes an empty file at the absolute `path` (0600), and its folders (0755) where they are missing. A folder or
  // anything but a plain file there is kInvalidInput.
  Result<Place> make_file(const std::string& path);

  // Removes the files and those folders that nothing was put into meanwhile, and sets back the times of the folders
  // they were in, unless somebody else has changed those too.
  void remove();

 private:
  struct Made {
    UniqueFd folder;  // Where it is.
    std::string name;
    bool is_folder = false;
  };
  struct Times {
    UniqueFd folder;
    struct timespec mtime = {};    // Before we came.
    struct timespec touched = {};  // After we had made something in it.
  };
  Status remember_times(const std::string& folder);
  int root_fd_;
  std::vector<Made> made_;
  std::vector<Times> times_;
};

}  // namespace imagebuild::builder
