// A stage's scratch folder on the volume: copies of what its RUN steps mount, outside the root and outside every layer.
#pragma once

#include <filesystem>
#include <map>
#include <stop_token>
#include <string>

#include "builder/stage/mount_way.h"

namespace imagebuild::builder {

class Scratch {
 public:
  // The folder is made when it is first needed, and removed with everything in it at the end of this object's life.
  explicit Scratch(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  // A path where nothing is yet.
  Result<std::filesystem::path> new_path();
  // A copy that nobody may change; made once.
  Result<std::filesystem::path> shared_copy(const TreeSource& source, std::stop_token stop);
  // A copy for one RUN.
  Result<std::filesystem::path> own_copy(const TreeSource& source, std::stop_token stop);
  // Removes a path that is not needed any more.
  static void drop(const std::filesystem::path& path);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::filesystem::path> shared_;  // By identity and path.
  int next_ = 0;
};

}  // namespace imagebuild::builder
