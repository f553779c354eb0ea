#include "builder/stage/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <set>
#include <thread>
#include <unordered_set>

#include "builder/stage/folder_crew.h"

namespace imagebuild::builder {
namespace {

constexpr int kMaxDepth = 512;
constexpr unsigned kMostThreads = 8;
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

// Walks with several threads, each with lists of its own: nothing is shared until the end.
class SnapshotWalk {
 public:
  SnapshotWalk(const LiveRoot& root, unsigned threads) : root_(root), boundary_(root.boundary()), lists_(threads) {
    for (const auto* paths : {&boundary_.excluded, &boundary_.phantoms}) {
      for (const std::string& path : *paths) special_folders_.insert(parent_path(path));
    }
  }

  Result<Snapshot> run(const std::function<void(const std::string&)>& on_socket) {
    struct statx stat = {};
    if (::statx(root_.fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stat) != 0) {
      return system_error("cannot look at the root", errno);
    }
    Snapshot snapshot;
    describe(stat, lists_.front(), snapshot.root_);
    ASSIGN_OR_RETURN(UniqueFd fd, root_.open_path("", O_RDONLY | O_DIRECTORY));
    FolderCrew<Task> crew(static_cast<unsigned>(lists_.size()));
    RETURN_IF_ERROR(crew.run(Task{std::move(fd), "", &snapshot.root_, 0},
                             [&](unsigned worker, Task task) { return read_folder(crew, worker, std::move(task)); }));
    std::vector<std::string> sockets;
    for (List& list : lists_) {
      snapshot.newest_ctime_ns_ = std::max(snapshot.newest_ctime_ns_, list.newest_ctime_ns);
      snapshot.folders_.push_back(std::move(list.folders));
      sockets.insert(sockets.end(), list.sockets.begin(), list.sockets.end());
    }
    std::ranges::sort(sockets);
    for (const std::string& path : sockets) {
      if (on_socket) on_socket(path);
    }
    return snapshot;
  }

 private:
  using Object = Snapshot::Object;
  struct Task {
    UniqueFd fd;
    std::string path;
    Object* folder;
    int depth;
  };
  struct List {
    std::list<Snapshot::Folder> folders;
    std::vector<std::string> sockets;
    std::int64_t newest_ctime_ns = 0;
    std::vector<std::string_view> names;  // Of the folder that is being read.
  };

  static void describe(const struct statx& stat, List& list, Object& object) {
    object.inode = stat.stx_ino;
    object.mode = stat.stx_mode;
    object.uid = stat.stx_uid;
    object.gid = stat.stx_gid;
    object.mtime_ns = nanoseconds(stat.stx_mtime);
    const std::int64_t ctime_ns = nanoseconds(stat.stx_ctime);
    list.newest_ctime_ns = std::max(list.newest_ctime_ns, ctime_ns);
    // A file below that is copied up by an overlay moves the ctime and link count of its folders.
    if (S_ISDIR(stat.stx_mode)) return;
    object.ctime_ns = ctime_ns;
    object.has_more_names = stat.stx_nlink > 1;
    object.size_bytes = S_ISCHR(stat.stx_mode) || S_ISBLK(stat.stx_mode)
                            ? (static_cast<std::uint64_t>(stat.stx_rdev_major) << 32) | stat.stx_rdev_minor
                            : stat.stx_size;
  }

  // The names in the folder but "." and "..", sorted, each followed by a NUL. The views are into `names`.
  static Status read_names(int fd, std::string& names, std::vector<std::string_view>& views) {
    alignas(dirent64) std::array<char, 32 * 1024> buffer;
    while (true) {
      const long size = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
      if (size < 0) return system_error("cannot read a folder", errno);
      if (size == 0) break;
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.append(name).push_back('\0');
        at += entry->d_reclen;
      }
    }
    names.shrink_to_fit();
    views.clear();
    for (std::size_t at = 0; at < names.size(); at += views.back().size() + 1) views.emplace_back(names.c_str() + at);
    std::ranges::sort(views);
    return imagebuild::ok();
  }

  // Reads what the folder holds, then goes into its folders or leaves them to others.
  Status read_folder(FolderCrew<Task>& crew, unsigned worker, Task task) {
    if (task.depth > kMaxDepth) {
      return Error{ErrorCode::kLimit, "the folders below " + shown(task.path) + " are nested more than 512 deep"};
    }
    List& list = lists_[worker];
    const int fd = task.fd.get();
    ASSIGN_OR_RETURN(const auto xattrs, image_xattrs(fd).in(shown(task.path)));
    for (const auto& [name, value] : xattrs) task.folder->text = hash(value, hash(name, task.folder->text + 1));
    Snapshot::Folder& folder = list.folders.emplace_back();
    task.folder->folder = &folder;
    RETURN_IF_ERROR(read_names(fd, folder.names, list.names).in(shown(task.path)));
    folder.objects.reserve(list.names.size());
    const bool is_special = special_folders_.contains(task.path);
    for (const std::string_view name : list.names) {
      RETURN_IF_ERROR(add(fd, task.path, name, is_special, list, folder.objects));
    }
    for (Object& child : folder.objects) {
      if (!S_ISDIR(child.mode)) continue;
      std::string path = join_path(task.path, child.name);
      UniqueFd child_fd(::openat(fd, child.name.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child_fd.valid()) return system_error("cannot open " + shown(path), errno);
      Task below{std::move(child_fd), std::move(path), &child, task.depth + 1};
      if (!crew.hand_over(below)) RETURN_IF_ERROR(read_folder(crew, worker, std::move(below)));
    }
    return imagebuild::ok();
  }

  // `name` is followed by a NUL.
  Status add(int folder_fd, const std::string& folder, std::string_view name, bool is_special, List& list,
             std::vector<Object>& objects) {
    if (is_special && boundary_.excluded.contains(join_path(folder, name))) return imagebuild::ok();
    struct statx stat = {};
    if (::statx(folder_fd, name.data(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &stat) != 0) {
      if (errno == ENOENT) return imagebuild::ok();
      return system_error("cannot look at " + shown(join_path(folder, name)), errno);
    }
    if ((stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && root_.is_foreign_mount(join_path(folder, name), stat)) {
      return imagebuild::ok();
    }
    if (S_ISSOCK(stat.stx_mode)) {
      list.sockets.push_back(join_path(folder, name));
      return imagebuild::ok();
    }
    Object object;
    object.name = name;
    describe(stat, list, object);
    if (S_ISLNK(stat.stx_mode)) RETURN_IF_ERROR(read_text(folder_fd, folder, object));
    object.phantom = is_special && boundary_.phantoms.contains(join_path(folder, name)) &&
                     !(S_ISREG(stat.stx_mode) && stat.stx_size > 0);
    objects.push_back(object);
    return imagebuild::ok();
  }

  static Status read_text(int folder_fd, const std::string& folder, Object& link) {
    std::array<char, PATH_MAX> text;
    const ssize_t size = ::readlinkat(folder_fd, link.name.data(), text.data(), text.size());
    if (size < 0) return system_error("cannot read the symbolic link " + shown(join_path(folder, link.name)), errno);
    link.text = hash(std::string_view(text.data(), static_cast<std::size_t>(size)));
    return imagebuild::ok();
  }

  const LiveRoot& root_;
  const Boundary& boundary_;
  std::set<std::string> special_folders_;  // What lies in them may be excluded or a phantom.
  std::vector<List> lists_;                // One for each worker.
};

Result<Snapshot> Snapshot::take(const LiveRoot& root, const std::function<void(const std::string&)>& on_socket,
                                unsigned threads) {
  if (threads == 0) threads = std::clamp(2 * std::thread::hardware_concurrency(), 2U, kMostThreads);
  return SnapshotWalk(root, threads).run(on_socket);
}

std::span<const Snapshot::Object> Snapshot::children(const Object& folder) {
  return folder.folder == nullptr ? std::span<const Object>() : std::span<const Object>(folder.folder->objects);
}

std::uint64_t Snapshot::content_bytes() const {
  std::uint64_t bytes = 0;
  std::unordered_set<std::uint64_t> seen;
  for (const std::list<Folder>& list : folders_) {
    for (const Folder& folder : list) {
      for (const Object& object : folder.objects) {
        if (!S_ISREG(object.mode) || (object.has_more_names && !seen.insert(object.inode).second)) continue;
        bytes += object.size_bytes;
      }
    }
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
