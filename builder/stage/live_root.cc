#include "builder/stage/live_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "archive/rooted_path.h"

namespace imagebuild::builder {
namespace {

constexpr std::size_t kMaxXattrBytes = 1U << 20;

struct KernelDirent {
  std::uint64_t ino;
  std::int64_t next;
  std::uint16_t length;
  std::uint8_t type;
  char name[1];  // NOLINT: the kernel's layout.
};

bool belongs_into_image(std::string_view xattr) {
  return xattr == "security.capability" || xattr.starts_with("user.") || xattr.starts_with("system.posix_acl_");
}

archive::NodeType type_of(std::uint16_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return archive::NodeType::kDirectory;
    case S_IFLNK:
      return archive::NodeType::kSymlink;
    case S_IFCHR:
      return archive::NodeType::kCharDevice;
    case S_IFBLK:
      return archive::NodeType::kBlockDevice;
    case S_IFIFO:
      return archive::NodeType::kFifo;
    default:
      return archive::NodeType::kFile;
  }
}

Result<std::string> read_link(int root_fd, const std::string& path) {
  std::array<char, PATH_MAX> text;
  const ssize_t size = ::readlinkat(root_fd, path.c_str(), text.data(), text.size());
  if (size < 0) return system_error("cannot read the symbolic link " + shown(path), errno);
  return std::string(text.data(), static_cast<std::size_t>(size));
}

archive::Node node_of(const std::string& path, const struct statx& stat) {
  archive::Node node;
  node.path = path;
  node.type = type_of(stat.stx_mode);
  node.mode = stat.stx_mode & 07777U;
  node.uid = stat.stx_uid;
  node.gid = stat.stx_gid;
  node.mtime_s = stat.stx_mtime.tv_sec;
  if (node.type == archive::NodeType::kFile) node.size_bytes = stat.stx_size;
  if (node.type == archive::NodeType::kCharDevice || node.type == archive::NodeType::kBlockDevice) {
    node.device_major = stat.stx_rdev_major;
    node.device_minor = stat.stx_rdev_minor;
  }
  return node;
}

}  // namespace

Result<std::vector<std::string>> folder_names(int folder_fd) {
  std::vector<std::string> names;
  alignas(KernelDirent) std::array<char, 64 * 1024> buffer;
  if (::lseek(folder_fd, 0, SEEK_SET) < 0) return system_error("cannot read a folder", errno);
  while (true) {
    const long size = ::syscall(SYS_getdents64, folder_fd, buffer.data(), buffer.size());
    if (size < 0) return system_error("cannot read a folder", errno);
    if (size == 0) break;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const KernelDirent*>(buffer.data() + at);
      const std::string_view name = entry->name;
      if (name != "." && name != "..") names.emplace_back(name);
      at += entry->length;
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::map<std::string, std::string>> image_xattrs(int fd) {
  std::map<std::string, std::string> xattrs;
  std::array<char, 4096> small;
  ssize_t size = ::flistxattr(fd, small.data(), small.size());
  std::string names;
  if (size > 0) names.assign(small.data(), static_cast<std::size_t>(size));
  if (size < 0 && errno == ERANGE) {
    names.resize(64 * 1024);  // The kernel's own limit (XATTR_LIST_MAX).
    size = ::flistxattr(fd, names.data(), names.size());
    if (size >= 0) names.resize(static_cast<std::size_t>(size));
  }
  if (size < 0) {
    if (errno == ENOTSUP || errno == EPERM || errno == EBADF) return xattrs;
    return system_error("cannot list extended attributes", errno);
  }
  std::size_t total = 0;
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (!belongs_into_image(name)) continue;
    const ssize_t needed = ::fgetxattr(fd, name.c_str(), nullptr, 0);
    if (needed < 0) continue;  // Removed in between, or not for our eyes.
    total += static_cast<std::size_t>(needed);
    if (total > kMaxXattrBytes) return Error{ErrorCode::kLimit, "more than 1 MiB of extended attributes"};
    std::string value(static_cast<std::size_t>(needed), '\0');
    const ssize_t got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (got < 0) return system_error("cannot read the extended attribute " + name, errno);
    value.resize(static_cast<std::size_t>(got));
    xattrs.emplace(name, std::move(value));
  }
  return xattrs;
}

void LiveRoot::made(std::string_view path) {
  for (std::string at(path); !at.empty(); at = parent_path(at)) boundary_.phantoms.erase(at);
}

bool LiveRoot::is_excluded(std::string_view path) const {
  for (std::string at(path); !at.empty(); at = parent_path(at)) {
    if (boundary_.excluded.contains(at)) return true;
  }
  return false;
}

bool LiveRoot::is_foreign_mount(const std::string& path, const struct statx& stat) const {
  if (path.empty() || !boundary_.exclude_mount_roots) return false;
  return (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && !boundary_.volumes.contains(path);
}

Result<UniqueFd> LiveRoot::open_path(const std::string& path, int flags) const {
  return archive::open_beneath(root_.get(), path, flags | O_CLOEXEC);
}

Result<bool> LiveRoot::is_still_phantom(const std::string& path, const struct statx& stat) const {
  if ((stat.stx_mode & S_IFMT) == S_IFREG) return stat.stx_size == 0;
  if ((stat.stx_mode & S_IFMT) != S_IFDIR) return true;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, raw_list(path));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::optional<Found> child, lookup(join_path(path, name)));
    if (child) return false;
  }
  return true;
}

Result<std::optional<Found>> LiveRoot::lookup(const std::string& path) const {
  if (is_excluded(path)) return std::optional<Found>();
  struct statx stat = {};
  const char* name = path.empty() ? "" : path.c_str();
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (path.empty() ? AT_EMPTY_PATH : 0);
  if (::statx(root_.get(), name, flags, STATX_BASIC_STATS, &stat) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<Found>();
    return system_error("cannot look at " + shown(path), errno);
  }
  if ((stat.stx_mode & S_IFMT) == S_IFSOCK || is_foreign_mount(path, stat)) return std::optional<Found>();
  if (boundary_.phantoms.contains(path)) {
    ASSIGN_OR_RETURN(const bool phantom, is_still_phantom(path, stat));
    if (phantom) return std::optional<Found>();
  }
  Found found{node_of(path, stat), 0};
  if (found.node.type == archive::NodeType::kSymlink) {
    ASSIGN_OR_RETURN(found.node.link, read_link(root_.get(), path));
  } else if (found.node.type == archive::NodeType::kFile || found.node.type == archive::NodeType::kDirectory) {
    // Without the right to open it (a container without root), it has no attributes for us.
    if (auto file = open_path(path, O_RDONLY | O_NONBLOCK); file.ok()) {
      ASSIGN_OR_RETURN(found.node.xattrs, image_xattrs(file->get()).in(shown(path)));
    }
  }
  if (found.node.type != archive::NodeType::kDirectory && stat.stx_nlink > 1) found.file_id = stat.stx_ino;
  return std::optional<Found>(std::move(found));
}

Result<std::vector<std::string>> LiveRoot::raw_list(const std::string& folder) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_path(folder, O_RDONLY | O_DIRECTORY));
  return folder_names(fd.get()).in(shown(folder));
}

Result<std::vector<std::string>> LiveRoot::list(const std::string& folder) const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, raw_list(folder));
  std::erase_if(names, [&](const std::string& name) { return boundary_.excluded.contains(join_path(folder, name)); });
  return names;
}

Result<std::unique_ptr<ByteSource>> LiveRoot::open(const archive::Node& file) const {
  ASSIGN_OR_RETURN(UniqueFd fd, open_path(file.path, O_RDONLY | O_NONBLOCK));
  struct stat stat = {};
  if (::fstat(fd.get(), &stat) != 0) return system_error("cannot look at " + shown(file.path), errno);
  if (!S_ISREG(stat.st_mode)) return Error{ErrorCode::kInternal, shown(file.path) + " is no longer a regular file"};
  return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(fd)));
}

}  // namespace imagebuild::builder
