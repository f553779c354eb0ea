// The root file system of a running container, seen as its image sees it: without what the runtime put there.
#pragma once

#include <set>
#include <string>

#include "base/unique_fd.h"
#include "builder/stage/tree_view.h"

struct statx;

namespace imagebuild::builder {

// What below a root is not the image's. All paths as in archive::Node.
struct Boundary {
  // Mount points and our own folder: they and everything below them are not there at all.
  std::set<std::string> excluded;
  // Empty folders and files that the runtime made to mount something on, or made for such a folder. They are not
  // there either, until a step changes them or puts something into them.
  std::set<std::string> phantoms;
  // Mount points are recognised by the kernel's word too (STATX_ATTR_MOUNT_ROOT), except these: image volumes.
  bool exclude_mount_roots = false;
  std::set<std::string> volumes;
};

class LiveRoot final : public TreeView {
 public:
  // `root` is an open folder (not O_PATH).
  LiveRoot(UniqueFd root, Boundary boundary) : root_(std::move(root)), boundary_(std::move(boundary)) {}

  int fd() const { return root_.get(); }
  const Boundary& boundary() const { return boundary_; }
  // A step made this path: it and its parents are phantoms no more.
  void made(std::string_view path);
  // Whether the path is an excluded one or below one.
  bool is_excluded(std::string_view path) const;
  // Whether `stat` at `path` is of a mount that does not count.
  bool is_foreign_mount(const std::string& path, const struct statx& stat) const;

  Result<std::optional<Found>> lookup(const std::string& path) const override;
  Result<std::vector<std::string>> list(const std::string& folder) const override;
  Result<std::unique_ptr<ByteSource>> open(const archive::Node& file) const override;
  // A descriptor of the file or folder, opened below the root without following any symlink.
  Result<UniqueFd> open_path(const std::string& path, int flags) const;

 private:
  Result<bool> is_still_phantom(const std::string& path, const struct statx& stat) const;
  Result<std::vector<std::string>> raw_list(const std::string& folder) const;
  UniqueFd root_;
  Boundary boundary_;
};

// The names in an open folder but "." and "..", sorted. The folder is read from its start.
Result<std::vector<std::string>> folder_names(int folder_fd);
// The extended attributes that belong into an image: capabilities, ACLs and the user's own; never host labels.
Result<std::map<std::string, std::string>> image_xattrs(int fd);

}  // namespace imagebuild::builder
