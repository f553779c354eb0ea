#include "builder/stage/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "builder/stage/move_tree.h"

namespace imagebuild::builder {

Scratch::~Scratch() {
  drop(folder_);
}

void Scratch::drop(const std::filesystem::path& path) {
  const auto parent = open_file(path.parent_path(), O_RDONLY | O_DIRECTORY);
  if (parent.ok()) (void)remove_tree(parent->get(), path.filename().string());
}

Result<std::filesystem::path> Scratch::new_path() {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error("cannot make " + folder_.string(), errno);
  }
  return folder_ / std::to_string(next_++);
}

Result<std::filesystem::path> Scratch::own_copy(const TreeSource& source, std::stop_token stop) {
  ASSIGN_OR_RETURN(const std::filesystem::path path, new_path());
  ASSIGN_OR_RETURN(const UniqueFd folder, open_file(folder_, O_RDONLY | O_DIRECTORY));
  RETURN_IF_ERROR(
      copy_tree(*source.tree, source.path, source.as_root, folder.get(), path.filename().string(), std::move(stop)));
  return path;
}

Result<std::filesystem::path> Scratch::shared_copy(const TreeSource& source, std::stop_token stop) {
  const std::string key = source.identity + ":" + source.path;
  if (const auto made = shared_.find(key); made != shared_.end()) return made->second;
  ASSIGN_OR_RETURN(std::filesystem::path path, own_copy(source, std::move(stop)));
  shared_.emplace(key, path);
  return path;
}

}  // namespace imagebuild::builder
