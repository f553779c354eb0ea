#include "archive/rooted_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <vector>

#include "archive/path.h"

namespace imagebuild::archive {

namespace {

constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kMaxLinks = 40;    // The kernel's own limit.
constexpr int kMaxRetries = 16;  // openat2 gives up with EAGAIN when it sees a rename; then the walk answers.
constexpr std::size_t kMaxPendingBytes = 1U << 20;

// The descriptor, or -1 and errno. ENOSYS also stands for "this kernel, or its seccomp filter, does not let us ask".
UniqueFd ask_kernel(int root_fd, const std::string& path, int flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve;
  const char* name = path.empty() ? "." : path.c_str();
  for (int attempt = 0; attempt < kMaxRetries; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root_fd, name, &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EPERM) errno = ENOSYS;
    if (errno != EAGAIN && errno != EINTR) return UniqueFd();
  }
  errno = ENOSYS;
  return UniqueFd();
}

Result<std::string> read_link(int folder_fd, const std::string& name) {
  std::string text(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(folder_fd, name.c_str(), text.data(), text.size());
  if (size < 0) return system_error("cannot read the symlink '" + name + "'", errno);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// Follows one path, holding one open folder. `pending_` is what is left to walk, links already spliced in. Below a
// folder that does not exist, names are only noted, and ".." takes one back; those still noted at the end are made.
class Walk {
 public:
  Walk(int root_fd, const std::string& path, const FolderMade& made) : root_fd_(root_fd), pending_(path), made_(made) {}

  Result<UniqueFd> run() {
    RETURN_IF_ERROR(reopen());
    while (true) {
      std::string_view rest = pending_;
      const std::string part(take_part(rest));
      if (part.empty()) break;
      pending_ = std::string(rest);
      if (part == ".") continue;
      RETURN_IF_ERROR(part == ".." ? up() : down(part));
    }
    if (!missing_.empty() && !made_) return Error{ErrorCode::kNotFound, "the folder does not exist"};
    for (const std::string& name : missing_) RETURN_IF_ERROR(make(name));
    return std::move(at_);
  }

 private:
  // Opens the folder that `names_` spells, from the root: never through "..", which a rename could lead outside.
  Status reopen() {
    at_ = UniqueFd(::openat(root_fd_, ".", kFolderFlags));
    for (const std::string& name : names_) {
      if (at_.valid()) at_ = UniqueFd(::openat(at_.get(), name.c_str(), kFolderFlags));
    }
    if (!at_.valid()) return system_error("cannot open the folder", errno);
    return ok();
  }

  Status up() {
    if (!missing_.empty()) {
      missing_.pop_back();
      return ok();
    }
    if (names_.empty()) return ok();
    names_.pop_back();
    return reopen();
  }

  Status down(const std::string& name) {
    if (missing_.empty()) {
      UniqueFd next(::openat(at_.get(), name.c_str(), kFolderFlags));
      if (next.valid()) {
        at_ = std::move(next);
        names_.push_back(name);
        return ok();
      }
      if (errno == ENOTDIR || errno == ELOOP) return follow(name);
      if (errno != ENOENT) return system_error("cannot open the folder '" + name + "'", errno);
    }
    missing_.push_back(name);
    return ok();
  }

  Status make(const std::string& name) {
    const bool fresh = ::mkdirat(at_.get(), name.c_str(), 0700) == 0;
    if (!fresh && errno != EEXIST) return system_error("cannot make the folder '" + name + "'", errno);
    if (fresh) {
      std::string path;
      for (const std::string& part : names_) path = join_path(path, part);
      RETURN_IF_ERROR(made_(at_.get(), name, join_path(path, name)));
    }
    UniqueFd next(::openat(at_.get(), name.c_str(), kFolderFlags));
    if (!next.valid() && (errno == ENOTDIR || errno == ELOOP)) {
      return Error{ErrorCode::kCorrupt, "'" + name + "' on the way is not a folder"};
    }
    if (!next.valid()) return system_error("cannot open the folder '" + name + "'", errno);
    at_ = std::move(next);
    names_.push_back(name);
    return ok();
  }

  Status follow(const std::string& name) {
    struct stat status {};
    if (::fstatat(at_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return system_error(name, errno);
    if (!S_ISLNK(status.st_mode)) {
      missing_.push_back(name);  // As a folder it is missing; make() complains if the path really ends in it.
      return ok();
    }
    if (++links_ > kMaxLinks) return Error{ErrorCode::kCorrupt, "too many symlinks on the way"};
    ASSIGN_OR_RETURN(const std::string target, read_link(at_.get(), name));
    if (target.starts_with('/')) {
      names_.clear();
      RETURN_IF_ERROR(reopen());
    }
    pending_ = target + '/' + pending_;
    if (pending_.size() > kMaxPendingBytes) return Error{ErrorCode::kCorrupt, "the symlinks on the way are too long"};
    return ok();
  }

  int root_fd_;
  std::string pending_;
  const FolderMade& made_;
  UniqueFd at_;
  std::vector<std::string> names_;    // From the root to at_.
  std::vector<std::string> missing_;  // Below at_, not there yet.
  int links_ = 0;
};

Result<UniqueFd> walk_beneath(int root_fd, const std::string& path, int flags) {
  const auto [folder, name] = split_path(path);
  UniqueFd at(::openat(root_fd, ".", kFolderFlags));
  std::string_view rest = folder;
  for (std::string_view part = take_part(rest); at.valid() && !part.empty(); part = take_part(rest)) {
    at = UniqueFd(::openat(at.get(), std::string(part).c_str(), kFolderFlags));
  }
  if (at.valid()) {
    const std::string last = name.empty() ? "." : std::string(name);
    at = UniqueFd(::openat(at.get(), last.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!at.valid()) return system_error("'" + path + "'", errno);
  return at;
}

}  // namespace

Result<UniqueFd> open_beneath(int root_fd, const std::string& path, int flags, Resolution how) {
  if (how == Resolution::kAny) {
    UniqueFd fd =
        ask_kernel(root_fd, path, flags | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (fd.valid()) return fd;
    if (errno != ENOSYS) return system_error("'" + path + "'", errno);
  }
  return walk_beneath(root_fd, path, flags);
}

Result<UniqueFd> open_folder(int root_fd, const std::string& path, const FolderMade& made, Resolution how) {
  if (how == Resolution::kAny) {
    UniqueFd fd = ask_kernel(root_fd, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd.valid()) return fd;
  }
  return Walk(root_fd, path, made).run();  // Also when the kernel said no: the walk knows why.
}

}  // namespace imagebuild::archive
