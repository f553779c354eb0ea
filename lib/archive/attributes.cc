#include "archive/attributes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace imagebuild::archive {

namespace {

constexpr std::uint32_t kSetIdBits = 06000;
constexpr std::uint32_t kOwnerAccess = 0700;
constexpr long kFchmodat2 = 452;  // Linux 6.6; newer than the headers.

std::uint32_t mode_of(std::uint32_t mode, bool keep_owners) {
  return keep_owners ? mode : mode & ~kSetIdBits;
}

std::array<timespec, 2> times_of(std::int64_t mtime_s) {
  return {timespec{0, UTIME_OMIT}, timespec{static_cast<time_t>(mtime_s), 0}};
}

Error chown_error(int error) {
  if (error == EPERM || error == EINVAL) {
    return Error{ErrorCode::kDenied,
                 "cannot give the file to its owner; that needs root, and in a user namespace an id "
                 "that is mapped"};
  }
  return system_error("cannot change the owner", error);
}

Error xattr_error(const std::string& name, int error) {
  const std::string what = "cannot set the extended attribute '" + name + "'";
  if (error == EOPNOTSUPP) {
    return Error{ErrorCode::kUnsupported,
                 what + ": the file system has no room for it; use one that has, such as ext4 or xfs"};
  }
  if (error == EPERM) return Error{ErrorCode::kDenied, what + ": this process has no right to"};
  return system_error(what, error);
}

// `set` is the system call: it gets name and value, and answers 0, or -1 with errno.
Status set_xattrs(const Node& node, bool keep_owners,
                  const std::function<int(const char* name, const std::string& value)>& set) {
  for (const auto& [name, value] : node.xattrs) {
    if (name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")) {
      return Error{ErrorCode::kUnsupported,
                   "the extended attribute '" + name + "' would change how overlayfs shows the image"};
    }
    if (!keep_owners && (name.starts_with("security.") || name.starts_with("trusted."))) continue;
    if (set(name.c_str(), value) != 0) return xattr_error(name, errno);
  }
  return ok();
}

// A folder that was there before keeps nothing that its new entry does not have. Only user.*: the other namespaces hold
// what the system itself adds.
Status remove_other_xattrs(int fd, const Node& node) {
  std::array<char, 64 * 1024> names;
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return ok();
  if (size < 0) return system_error("cannot list the extended attributes", errno);
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1) {
    if (!std::string_view(name).starts_with("user.") || node.xattrs.contains(name)) continue;
    if (::fremovexattr(fd, name) != 0) return system_error(std::string("cannot remove the attribute ") + name, errno);
  }
  return ok();
}

// chmod without following a symlink. glibc's way needs /proc, the system call does not.
Status set_mode(int folder_fd, const std::string& name, std::uint32_t mode) {
  struct stat status {};
  if (::fstatat(folder_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return system_error("cannot look at it", errno);
  if (S_ISLNK(status.st_mode) || (status.st_mode & 07777U) == mode) return ok();
  if (::syscall(kFchmodat2, folder_fd, name.c_str(), mode, AT_SYMLINK_NOFOLLOW) == 0) return ok();
  if (::fchmodat(folder_fd, name.c_str(), mode, AT_SYMLINK_NOFOLLOW) == 0) return ok();
  return system_error("cannot change the permission bits (/proc must be mounted for that)", errno);
}

// Changes only what differs: each change is a transaction of the file system.
Status set_open(int fd, const Node& node, std::uint32_t mode, bool keep_owners) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("cannot look at it", errno);
  const bool other_owner = keep_owners && (status.st_uid != node.uid || status.st_gid != node.gid);
  if (other_owner && ::fchown(fd, node.uid, node.gid) != 0) return chown_error(errno);
  const std::uint32_t wanted = mode_of(mode, keep_owners);
  // A change of owner takes the set-id bits away.
  const bool lost_bits = other_owner && (wanted & kSetIdBits) != 0;
  if ((lost_bits || (status.st_mode & 07777U) != wanted) && ::fchmod(fd, wanted) != 0) {
    return system_error("cannot change the permission bits", errno);
  }
  return set_xattrs(node, keep_owners, [fd](const char* name, const std::string& value) {
    return ::fsetxattr(fd, name, value.data(), value.size(), 0);
  });
}

}  // namespace

Status set_file_attributes(int fd, const Node& node, bool keep_owners) {
  RETURN_IF_ERROR(set_open(fd, node, node.mode, keep_owners));
  if (::futimens(fd, times_of(node.mtime_s).data()) != 0) return system_error("cannot set the time", errno);
  return ok();
}

Status set_folder_attributes(int fd, const Node& node, bool keep_owners) {
  RETURN_IF_ERROR(remove_other_xattrs(fd, node));
  return set_open(fd, node, node.mode | kOwnerAccess, keep_owners);
}

Status set_folder_end(int fd, std::uint32_t mode, std::int64_t mtime_s, bool keep_owners) {
  if ((mode & kOwnerAccess) != kOwnerAccess && ::fchmod(fd, mode_of(mode, keep_owners)) != 0) {
    return system_error("cannot change the permission bits", errno);
  }
  if (::futimens(fd, times_of(mtime_s).data()) != 0) return system_error("cannot set the time", errno);
  return ok();
}

Status set_special_attributes(int folder_fd, const std::string& name, const Node& node, bool keep_owners) {
  if (keep_owners && ::fchownat(folder_fd, name.c_str(), node.uid, node.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return chown_error(errno);
  }
  if (node.type != NodeType::kSymlink) RETURN_IF_ERROR(set_mode(folder_fd, name, mode_of(node.mode, keep_owners)));
  // There is no setxattrat(2) before Linux 6.13; the folder's entry in /proc stands in for it.
  const std::string path = "/proc/self/fd/" + std::to_string(folder_fd) + "/" + name;
  RETURN_IF_ERROR(set_xattrs(node, keep_owners, [&path](const char* xattr, const std::string& value) {
    return ::lsetxattr(path.c_str(), xattr, value.data(), value.size(), 0);
  }));
  if (::utimensat(folder_fd, name.c_str(), times_of(node.mtime_s).data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return system_error("cannot set the time", errno);
  }
  return ok();
}

}  // namespace imagebuild::archive
