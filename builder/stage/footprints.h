// Files and folders that a RUN needs for a while and that must leave no trace: mount points, the folders above them,
// and what stands in for a mount where nothing can be mounted.
#pragma once

#include <sys/stat.h>

#include <ctime>
#include <optional>
#include <set>
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
    std::string path;             // Relative to the root, no link in it.
    std::string name;             // Its last part.
    UniqueFd folder;              // Where it is; not O_PATH.
    std::optional<mode_t> there;  // The type (S_IFMT) of what is there already; never a link.
  };
  // Finds where the absolute `path` leads to when all links are followed below the root, and makes its folders (0755)
  // where they are missing. kInvalidInput for the root itself and where something that is no folder is on the way.
  Result<Place> find(const std::string& path);
  // Makes an empty file (0600) or folder (0755) at a place where nothing is.
  Result<UniqueFd> make_file(Place& place);
  Status make_folder(Place& place);

  // Everything is made: whatever changes from now on is the RUN's doing.
  void settle();
  // The RUN has disturbed what we had put at the place. When nothing else in its folder came or went, the folder counts
  // as unchanged.
  void forgive(const Place& place);
  // The RUN is over: what changes from now on is ours again.
  void look();
  // Removes the files and those folders that nothing was put into meanwhile, and sets back the times of the folders
  // they were in: to what the RUN made of them, if it has changed them too.
  void remove();

 private:
  struct Made {
    UniqueFd folder;  // Where it is.
    std::string name;
    bool is_folder = false;
  };
  struct Times {
    UniqueFd folder;
    struct timespec mtime = {};      // Before we came.
    struct timespec touched = {};    // After we had made something in it.
    std::vector<std::string> names;  // Sorted; then, too.
    std::set<std::string> ours;      // Names of places in it.
    struct timespec left = {};       // After the RUN.
  };
  Status remember_times(const std::string& folder);
  Times* times_of(int folder_fd);
  int root_fd_;
  std::vector<Made> made_;
  std::vector<Times> times_;
  bool has_looked_ = false;
};

// A descriptor of the same folder to read from, however `folder_fd` was opened.
UniqueFd reopen_folder(int folder_fd);

}  // namespace imagebuild::builder
