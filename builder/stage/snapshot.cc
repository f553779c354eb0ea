#include "builder/stage/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <limits>
#include <unordered_set>

namespace imagebuild::builder {
namespace {

constexpr int kMaxDepth = 512;
constexpr std::int64_t kLongestTick_ns = 50'000'000;

std::int64_t nanoseconds(const struct statx_timestamp& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// FNV-1a, 64 bits: enough to notice a change of a text that nobody forges against himself.
std::uint64_t hash(std::string_view text, std::uint64_t state = 14695981039346656037ULL) {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return state;
}

}  // namespace

class SnapshotWalk {
 public:
  SnapshotWalk(const LiveRoot& root, const std::function<void(const std::string&)>& on_socket)
      : root_(root), on_socket_(on_socket) {}

  Result<Snapshot> run() {
    struct statx stat = {};
    if (::statx(root_.fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat) != 0) {
      return system_error("cannot look at the root", errno);
    }
    snapshot_.root_ = object_of(stat);
    ASSIGN_OR_RETURN(const UniqueFd fd, root_.open_path("", O_RDONLY | O_DIRECTORY));
    RETURN_IF_ERROR(read_folder(fd.get(), "", snapshot_.root_, 0));
    return std::move(snapshot_);
  }

 private:
  Snapshot::Object object_of(const struct statx& stat) {
    Snapshot::Object object;
    object.inode = stat.stx_ino;
    object.mode = stat.stx_mode;
    object.uid = stat.stx_uid;
    object.gid = stat.stx_gid;
    object.mtime_ns = nanoseconds(stat.stx_mtime);
    object.device = (static_cast<std::uint64_t>(stat.stx_rdev_major) << 32) | stat.stx_rdev_minor;
    const std::int64_t ctime_ns = nanoseconds(stat.stx_ctime);
    snapshot_.newest_ctime_ns_ = std::max(snapshot_.newest_ctime_ns_, ctime_ns);
    // A file below that is copied up by an overlay moves the ctime and link count of its folders.
    if (!S_ISDIR(stat.stx_mode)) {
      object.ctime_ns = ctime_ns;
      object.size_bytes = stat.stx_size;
    }
    return object;
  }

  Status read_text(int folder_fd, const std::string& name, const std::string& path, Snapshot::Object& object) {
    if (!S_ISLNK(object.mode)) return imagebuild::ok();
    std::array<char, PATH_MAX> text;
    const ssize_t size = ::readlinkat(folder_fd, name.c_str(), text.data(), text.size());
    if (size < 0) return system_error("cannot read the symbolic link " + shown(path), errno);
    object.text = hash(std::string_view(text.data(), static_cast<std::size_t>(size)));
    return imagebuild::ok();
  }

  // Puts what the folder holds behind one another, then goes into its folders.
  Status read_folder(int fd, const std::string& path, Snapshot::Object& folder, int depth) {
    if (depth > kMaxDepth) {
      return Error{ErrorCode::kLimit, "the folders below " + shown(path) + " are nested more than 512 deep"};
    }
    ASSIGN_OR_RETURN(const auto xattrs, image_xattrs(fd));
    for (const auto& [name, value] : xattrs) folder.text = hash(value, hash(name, folder.text + 1));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_names(fd));
    const std::size_t first = snapshot_.objects_.size();
    for (const std::string& name : names) RETURN_IF_ERROR(add(fd, join_path(path, name), name));
    const std::size_t count = snapshot_.objects_.size() - first;
    folder.folder = static_cast<std::int32_t>(snapshot_.folders_.size());
    snapshot_.folders_.push_back({first, count});
    for (std::size_t i = first; i < first + count; ++i) {
      if (!S_ISDIR(snapshot_.objects_[i].mode)) continue;
      Snapshot::Object child = snapshot_.objects_[i];  // The vector grows below.
      const std::string name(snapshot_.name(child));
      const UniqueFd child_fd(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child_fd.valid()) return system_error("cannot open " + shown(join_path(path, name)), errno);
      RETURN_IF_ERROR(read_folder(child_fd.get(), join_path(path, name), child, depth + 1));
      snapshot_.objects_[i] = child;
    }
    return imagebuild::ok();
  }

  Status add(int folder_fd, const std::string& path, const std::string& name) {
    if (root_.boundary().excluded.contains(path)) return imagebuild::ok();
    struct statx stat = {};
    if (::statx(folder_fd, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &stat) != 0) {
      if (errno == ENOENT) return imagebuild::ok();
      return system_error("cannot look at " + shown(path), errno);
    }
    if (root_.is_foreign_mount(path, stat)) return imagebuild::ok();
    if (S_ISSOCK(stat.stx_mode)) {
      if (on_socket_) on_socket_(path);
      return imagebuild::ok();
    }
    Snapshot::Object object = object_of(stat);
    RETURN_IF_ERROR(read_text(folder_fd, name, path, object));
    if (snapshot_.names_.size() + name.size() > std::numeric_limits<std::uint32_t>::max()) {
      return Error{ErrorCode::kLimit, "the root file system has too many files"};
    }
    object.name_at = static_cast<std::uint32_t>(snapshot_.names_.size());
    object.name_bytes = static_cast<std::uint16_t>(name.size());
    object.phantom = root_.boundary().phantoms.contains(path) && !(S_ISREG(stat.stx_mode) && stat.stx_size > 0);
    snapshot_.names_ += name;
    snapshot_.objects_.push_back(object);
    return imagebuild::ok();
  }

  const LiveRoot& root_;
  const std::function<void(const std::string&)>& on_socket_;
  Snapshot snapshot_;
};

Result<Snapshot> Snapshot::take(const LiveRoot& root, const std::function<void(const std::string&)>& on_socket) {
  return SnapshotWalk(root, on_socket).run();
}

std::span<const Snapshot::Object> Snapshot::children(const Object& folder) const {
  if (folder.folder < 0) return {};
  const Folder& range = folders_[static_cast<std::size_t>(folder.folder)];
  return std::span(objects_).subspan(range.first, range.count);
}

std::uint64_t Snapshot::content_bytes() const {
  std::uint64_t bytes = 0;
  std::unordered_set<std::uint64_t> seen;
  for (const Object& object : objects_) {
    if (S_ISREG(object.mode) && seen.insert(object.inode).second) bytes += object.size_bytes;
  }
  return bytes;
}

void wait_for_next_tick(const Snapshot& snapshot) {
  const auto now_ns = [](clockid_t clock) {
    struct timespec now = {};
    ::clock_gettime(clock, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  };
  const std::int64_t start_ns = now_ns(CLOCK_MONOTONIC);
  const struct timespec half_a_millisecond = {0, 500'000};
  // A ctime that is ahead of the clock (somebody set the clock) is not waited for.
  while (now_ns(CLOCK_REALTIME_COARSE) <= snapshot.newest_ctime_ns() &&
         now_ns(CLOCK_MONOTONIC) - start_ns < kLongestTick_ns) {
    ::nanosleep(&half_a_millisecond, nullptr);
  }
}

}  // namespace imagebuild::builder
