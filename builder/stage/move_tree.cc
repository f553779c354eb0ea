#include "builder/stage/move_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "builder/stage/footprints.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/live_root.h"

namespace imagebuild::builder {
namespace {

// Removes what is in the folder, one folder after another with at most two of them open, however deep they are.
class Removal {
 public:
  explicit Removal(UniqueFd folder) : top_(std::move(folder)) {}

  Status run() {
    while (true) {
      ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_names(top_.get()));
      if (names.empty()) return imagebuild::ok();
      for (const std::string& name : names) RETURN_IF_ERROR(remove(name));
    }
  }

 private:
  Status remove(const std::string& name) {
    if (::unlinkat(top_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return imagebuild::ok();
    if (errno != EISDIR && errno != EPERM) return system_error("cannot remove '" + name + "'", errno);
    if (::unlinkat(top_.get(), name.c_str(), AT_REMOVEDIR) == 0) return imagebuild::ok();
    if (errno != ENOTEMPTY && errno != EEXIST) return system_error("cannot remove '" + name + "'", errno);
    return raise(name);
  }

  // Brings what the folder holds up into the topmost one, under names of our own, so that it can be removed.
  Status raise(const std::string& name) {
    const UniqueFd folder(::openat(top_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.valid()) return system_error("cannot open '" + name + "'", errno);
    ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_names(folder.get()));
    for (const std::string& inner : names) {
      if (::unlinkat(folder.get(), inner.c_str(), 0) == 0 ||
          ::unlinkat(folder.get(), inner.c_str(), AT_REMOVEDIR) == 0) {
        continue;
      }
      const std::string raised = ".imagebuild-removed-" + std::to_string(next_++);
      if (::renameat(folder.get(), inner.c_str(), top_.get(), raised.c_str()) == 0) continue;
      if (errno != EXDEV) return system_error("cannot remove '" + inner + "'", errno);
      // A folder that an overlay's lower layer has too cannot be raised; an image's own are not very deep.
      const UniqueFd below(::openat(folder.get(), inner.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.valid()) return system_error("cannot open '" + inner + "'", errno);
      RETURN_IF_ERROR(Removal(reopen_folder(below.get())).run());
      if (::unlinkat(folder.get(), inner.c_str(), AT_REMOVEDIR) != 0) {
        return system_error("cannot remove '" + inner + "'", errno);
      }
    }
    if (::unlinkat(top_.get(), name.c_str(), AT_REMOVEDIR) != 0) {
      return system_error("cannot remove '" + name + "'", errno);
    }
    return imagebuild::ok();
  }

  UniqueFd top_;
  std::uint64_t next_ = 0;
};

LayerEntry copied(const TreeView& tree, Found found, bool as_root, std::string path) {
  LayerEntry entry = entry_of(tree, std::move(found));
  entry.node.path = std::move(path);
  if (as_root) entry.node.uid = entry.node.gid = 0;
  return entry;
}

}  // namespace

Status copy_tree(const TreeView& tree, const std::string& path, bool as_root, int to_fd, const std::string& name,
                 std::stop_token stop) {
  ASSIGN_OR_RETURN(std::optional<Found> top, tree.lookup(path));
  LayerEntries entries;
  const auto put = [&](Found found) -> Status {
    if (last_part(found.node.path).starts_with(".wh.")) {
      return Error{ErrorCode::kUnsupported, "'" + shown(found.node.path) +
                                                "' has a name that begins with '.wh.', which means a removal in "
                                                "images: rename it or leave it out by .dockerignore"};
    }
    const std::string_view below = std::string_view(found.node.path).substr(path.size());
    const std::string target = name + (path.empty() && !below.empty() ? "/" : "") + std::string(below);
    entries.emplace(target, copied(tree, std::move(found), as_root, target));
    return imagebuild::ok();
  };
  if (!top) {  // A folder that is only known by what it holds.
    Found folder;
    folder.node.path = path;
    folder.node.type = archive::NodeType::kDirectory;
    folder.node.mode = 0755;
    top = std::move(folder);
  }
  const bool is_folder = top->node.type == archive::NodeType::kDirectory;
  RETURN_IF_ERROR(put(std::move(*top)));
  if (is_folder) {
    RETURN_IF_ERROR(tree.walk(path, put));
  }
  link_names(entries);
  return apply_entries(entries, to_fd, std::move(stop));
}

Status remove_tree(int folder_fd, const std::string& name) {
  if (::unlinkat(folder_fd, name.c_str(), 0) == 0 || errno == ENOENT) return imagebuild::ok();
  if (::unlinkat(folder_fd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return imagebuild::ok();
  UniqueFd folder(::openat(folder_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return system_error("cannot remove '" + name + "'", errno);
  RETURN_IF_ERROR(Removal(std::move(folder)).run());
  if (::unlinkat(folder_fd, name.c_str(), AT_REMOVEDIR) == 0) return imagebuild::ok();
  return system_error("cannot remove '" + name + "'", errno);
}

Status move_tree(int from_fd, const std::string& from, int to_fd, const std::string& to, std::stop_token stop) {
  if (::renameat(from_fd, from.c_str(), to_fd, to.c_str()) == 0) return imagebuild::ok();
  if (errno != EXDEV) return system_error("cannot move '" + from + "'", errno);
  UniqueFd folder = reopen_folder(from_fd);
  if (!folder.valid()) return system_error("cannot open a folder", errno);
  const LiveRoot view(std::move(folder), {});
  RETURN_IF_ERROR(copy_tree(view, from, false, to_fd, to, std::move(stop)));
  return remove_tree(from_fd, from);
}

}  // namespace imagebuild::builder
