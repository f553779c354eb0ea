#include "cli/overlay.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

constexpr long kOverlayMagic = 0x794c7630;  // statfs(2)

// Runs mount(2) in `directory`, on a thread with a working directory of its own.
int mount_in(const fs::path& directory, const std::string& options) {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_FS) != 0 || ::chdir(directory.c_str()) != 0 ||
        ::mount("overlay", "merged", "overlay", 0, options.c_str()) != 0) {
      error = errno;
    }
  }).join();
  return error;
}

Status make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return system_error(path.string(), errno);
  return ok();
}

// The root folder of the mount has the attributes of the uppermost layer's root: ours takes over those below.
Status take_over_root(const fs::path& lower, const fs::path& upper) {
  struct stat below {};
  if (::stat(lower.c_str(), &below) != 0) return system_error(lower.string(), errno);
  if (::chown(upper.c_str(), below.st_uid, below.st_gid) != 0 || ::chmod(upper.c_str(), below.st_mode & 07777) != 0) {
    return system_error(upper.string(), errno);
  }
  return ok();
}

Error mount_error(const fs::path& folder, int error) {
  struct statfs file_system {};
  if (::statfs(folder.c_str(), &file_system) == 0 && file_system.f_type == kOverlayMagic) {
    return Error{ErrorCode::kInternal, "the store " + folder.string() +
                                           " is on an overlay file system, which cannot carry another one; put it on a "
                                           "volume or disk with --store"};
  }
  if (error == EPERM || error == EACCES) {
    return Error{ErrorCode::kDenied,
                 "mounting an overlay file system is not permitted; run as root or with "
                 "CAP_SYS_ADMIN"};
  }
  return Error{ErrorCode::kInternal, system_error("mount an overlay file system in " + folder.string(), error).message};
}

}  // namespace

Status enter_own_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) return system_error("unshare the mount namespace", errno);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return system_error("make the mounts private", errno);
  }
  return ok();
}

Mount& Mount::operator=(Mount&& other) noexcept {
  if (this != &other) {
    (void)unmount();
    target_ = std::exchange(other.target_, {});
  }
  return *this;
}

Mount::~Mount() {
  (void)unmount();
}

Status Mount::unmount() {
  if (target_.empty()) return ok();
  const fs::path target = std::exchange(target_, {});
  if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) return ok();
  const int error = errno;
  // Whoever still holds a file there keeps it for himself; for everybody else it is gone.
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return ok();
  return system_error("unmount " + target.string(), error);
}

Result<Mount> mount_overlay(const OverlayFolder& folder, const std::vector<fs::path>& lower) {
  if (lower.size() > kMostLowerLayers) {
    return Error{ErrorCode::kLimit, "the image has " + std::to_string(lower.size()) + " layers; at most " +
                                        std::to_string(kMostLowerLayers) + " can be stacked"};
  }
  for (const char* name : {"l", "upper", "work", "merged"}) RETURN_IF_ERROR(make_folder(folder.path / name));
  std::string names;
  const auto add_lower = [&](const fs::path& target) -> Status {
    const std::string name = "l/" + std::to_string(names.empty() ? 0 : std::count(names.begin(), names.end(), ':') + 1);
    if (::symlink(target.c_str(), (folder.path / name).c_str()) != 0) return system_error(name, errno);
    names += (names.empty() ? "" : ":") + name;
    return ok();
  };
  if (lower.empty()) {
    RETURN_IF_ERROR(make_folder(folder.path / "empty"));
    RETURN_IF_ERROR(add_lower(folder.path / "empty"));
  } else {
    RETURN_IF_ERROR(take_over_root(lower.back(), folder.upper()));
  }
  for (auto it = lower.rbegin(); it != lower.rend(); ++it) {
    std::error_code error;
    const fs::path absolute = fs::absolute(*it, error);
    if (error) return system_error(it->string(), error.value());
    RETURN_IF_ERROR(add_lower(absolute));
  }
  const std::string options = "lowerdir=" + names + ",upperdir=upper,workdir=work,redirect_dir=off,metacopy=off";
  int error = mount_in(folder.path, options + ",volatile");
  if (error == EINVAL) error = mount_in(folder.path, options);  // Linux before 5.10 has no volatile.
  if (error == EINVAL) {
    error = mount_in(folder.path, "lowerdir=" + names + ",upperdir=upper,workdir=work");
  }
  if (error != 0) return mount_error(folder.path, error);
  return Mount(folder.merged());
}

Result<Mount> mount_tmpfs(const fs::path& target, std::uint64_t max_bytes) {
  const std::string options = "mode=700,size=" + std::to_string(max_bytes);
  if (::mount("tmpfs", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0) {
    return system_error("mount a file system in memory on " + target.string(), errno);
  }
  return Mount(target);
}

}  // namespace imagebuild::cli
