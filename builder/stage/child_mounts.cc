#include "builder/stage/child_mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace imagebuild::builder {
namespace {

int write_file(const char* path, const std::string& content, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid) {
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  int error = 0;
  for (std::size_t at = 0; at < content.size() && error == 0;) {
    const ssize_t written = ::write(fd, content.data() + at, content.size() - at);
    if (written < 0) error = errno;
    if (written > 0) at += static_cast<std::size_t>(written);
  }
  if (error == 0 && (::fchown(fd, uid, gid) != 0 || ::fchmod(fd, mode) != 0)) error = errno;
  ::close(fd);
  return error;
}

// "FOLDER/N", in a buffer of PATH_MAX bytes.
bool numbered(const std::string& folder, std::size_t number, char* out) {
  char digits[24];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  if (folder.size() + count + 2 > PATH_MAX) return false;
  std::memcpy(out, folder.data(), folder.size());
  std::size_t at = folder.size();
  out[at++] = '/';
  while (count > 0) out[at++] = digits[--count];
  out[at] = '\0';
  return true;
}

int make_mount_point(const ChildMount& mount) {
  if (mount.is_folder) return make_folders(mount.target.c_str());
  const std::size_t slash = mount.target.rfind('/');
  char folder[PATH_MAX];
  if (slash == std::string::npos || slash >= sizeof(folder)) return ENAMETOOLONG;
  std::memcpy(folder, mount.target.data(), slash);
  folder[slash] = '\0';
  if (slash > 0) {
    if (const int error = make_folders(folder); error != 0) return error;
  }
  const int fd = ::open(mount.target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd >= 0) ::close(fd);
  return fd < 0 && errno != EEXIST ? errno : 0;
}

// With the flags that the mount has already: those of a user namespace's parent may not be taken away.
int make_read_only(const char* target) {
  struct statfs stat = {};
  if (::statfs(target, &stat) != 0) return errno;
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  if ((static_cast<unsigned long>(stat.f_flags) & ST_NOSUID) != 0) flags |= MS_NOSUID;
  if ((static_cast<unsigned long>(stat.f_flags) & ST_NODEV) != 0) flags |= MS_NODEV;
  if ((static_cast<unsigned long>(stat.f_flags) & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  return ::mount(nullptr, target, nullptr, flags, nullptr) != 0 ? errno : 0;
}

int mount_one(const RunChild& child, std::size_t index) {
  const ChildMount& mount = child.mounts[index];
  const char* target = mount.target.c_str();
  char staged[PATH_MAX];
  switch (mount.kind) {
    case ChildMount::Kind::kMemory:
      return ::mount("tmpfs", target, "tmpfs", MS_NOSUID, mount.options.c_str()) != 0 ? errno : 0;
    case ChildMount::Kind::kBind:
      return ::mount(mount.source.c_str(), target, nullptr, MS_BIND, nullptr) != 0 ? errno : 0;
    case ChildMount::Kind::kContent:
      if (!numbered(child.private_memory, index, staged)) return ENAMETOOLONG;
      if (const int error = write_file(staged, mount.content, mount.mode, mount.uid, mount.gid); error != 0) {
        return error;
      }
      if (::mount(staged, target, nullptr, MS_BIND, nullptr) != 0) return errno;
      return ::unlink(staged) != 0 ? errno : 0;
  }
  return EINVAL;
}

// The mount points in it are made before it becomes read-only.
ChildMountFailure add_mount(const RunChild& child, std::size_t index) {
  const ChildMount& mount = child.mounts[index];
  if (const int error = mount_one(child, index); error != 0) return {error, static_cast<int>(index)};
  for (std::size_t inner = index + 1; inner < child.mounts.size(); ++inner) {
    if (child.mounts[inner].within != static_cast<int>(index)) continue;
    if (const int error = make_mount_point(child.mounts[inner]); error != 0) return {error, static_cast<int>(inner)};
  }
  if (!mount.read_only) return {};
  const int error = make_read_only(mount.target.c_str());
  return {error, error != 0 ? static_cast<int>(index) : -1};
}

}  // namespace

int make_folders(const char* path) {
  char at[PATH_MAX];
  const std::size_t size = std::strlen(path);
  if (size >= sizeof(at)) return ENAMETOOLONG;
  std::memcpy(at, path, size + 1);
  for (std::size_t i = 1; i <= size; ++i) {
    if (at[i] != '/' && at[i] != '\0') continue;
    at[i] = '\0';
    if (::mkdir(at, 0700) == 0) {
      if (::chmod(at, 0755) != 0) return errno;
    } else if (errno != EEXIST) {
      struct stat stat = {};
      const int error = errno;
      if (::stat(at, &stat) != 0 || !S_ISDIR(stat.st_mode)) return error;  // A read-only file system says no first.
    }
    if (i < size) at[i] = '/';
  }
  return 0;
}

ChildMountFailure arrange_mounts(const RunChild& child) {
  if (!child.private_mounts) return {};
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV;
  if (::unshare(CLONE_NEWNS) != 0) return {errno, -1};
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {errno, -1};
  if (!child.private_memory.empty() &&
      ::mount("tmpfs", child.private_memory.c_str(), "tmpfs", kSafe, "mode=0700") != 0) {
    return {errno, -1};
  }
  for (std::size_t i = 0; i < child.mounts.size(); ++i) {
    if (const ChildMountFailure failure = add_mount(child, i); failure.error != 0) return failure;
  }
  for (const std::string& mount : child.hidden_mounts) {
    if (::umount2(mount.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) return {errno, -1};
  }
  if (!child.staging.empty() && ::mount("tmpfs", child.staging.c_str(), "tmpfs", kSafe, "mode=0755") != 0) {
    return {errno, -1};
  }
  if (!child.script) return {};
  return {write_file(child.script->path.c_str(), child.script->content, 0755, 0, 0), -1};
}

}  // namespace imagebuild::builder
