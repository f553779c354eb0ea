#include "builder/prepare/folder_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "builder/stage/folder_crew.h"

namespace imagebuild::builder {

using archive::FileVersion;
using archive::Node;
using archive::NodeType;

namespace {

constexpr unsigned kPermissionBits = 07777;
constexpr unsigned kMostThreads = 8;  // Each may have as many folders open as they are nested.

std::optional<NodeType> type_of(mode_t mode) {
  if (S_ISREG(mode)) return NodeType::kFile;
  if (S_ISDIR(mode)) return NodeType::kDirectory;
  if (S_ISLNK(mode)) return NodeType::kSymlink;
  if (S_ISCHR(mode)) return NodeType::kCharDevice;
  if (S_ISBLK(mode)) return NodeType::kBlockDevice;
  if (S_ISFIFO(mode)) return NodeType::kFifo;
  return std::nullopt;
}

Result<std::string> read_link(int directory, const std::string& name, off_t size) {
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  const ssize_t count = ::readlinkat(directory, name.c_str(), text.data(), text.size());
  if (count < 0) return system_error(name, errno);
  text.resize(static_cast<std::size_t>(count));
  return text;
}

// The names in the folder but "." and "..", sorted.
Result<std::vector<std::string>> names_in(DIR* stream, const std::string& path) {
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return system_error(path, errno);
  std::ranges::sort(names);
  return names;
}

// Asks for the attributes of the files of one folder at a time. There is no such call for a name in an open folder, but
// a thread that has a working folder of its own can go there; /proc, for where that is not allowed, takes five times
// as long.
class AttributeReader {
 public:
  // In a thread that goes on to other things its working folder is not ours to change.
  explicit AttributeReader(bool is_own_thread) : may_enter_(is_own_thread && ::unshare(CLONE_FS) == 0) {}

  void enter(int folder) {
    folder_ = folder;
    is_inside_ = may_enter_ && ::fchdir(folder) == 0;
  }

  // File capabilities: the one extended attribute that layers hold.
  Status read_capability(const std::string& name, Node& node) const {
    constexpr const char* kAttribute = "security.capability";
    std::array<char, 64> value;
    const std::string path = is_inside_ ? name : "/proc/self/fd/" + std::to_string(folder_) + "/" + name;
    const ssize_t size = ::lgetxattr(path.c_str(), kAttribute, value.data(), value.size());
    if (size >= 0) {
      node.xattrs[kAttribute] = std::string(value.data(), static_cast<std::size_t>(size));
      return ok();
    }
    const bool has_none = errno == ENODATA || errno == ENOTSUP || errno == ENOENT || errno == EPERM || errno == EACCES;
    return has_none ? ok() : Status(system_error(node.path, errno));
  }

 private:
  bool may_enter_;
  bool is_inside_ = false;
  int folder_ = -1;
};

struct Folder;

struct Entry {
  Node node;
  FileVersion version;                      // Of a regular file.
  bool has_more_names = false;              // Of a regular file: there are others, here or elsewhere.
  bool is_excluded = false;                 // A folder that comes along with what is in it.
  std::unique_ptr<Folder> below = nullptr;  // Of a folder that is gone into.
};

// Each is filled by one thread.
struct Folder {
  std::vector<Entry> entries;  // Sorted by name.
};

class FolderWalk {
 public:
  explicit FolderWalk(const dockerfile::IgnoreRules& rules) : rules_(rules) {}

  // In a thread of its own, unless none can be made.
  Status read(UniqueFd folder, unsigned threads) {
    Task top{std::move(folder), "", &top_};
    Status status = ok();
    const auto work = [&](unsigned crew_size, bool is_own_thread) {
      status = run(std::move(top), crew_size, is_own_thread);
    };
    try {
      std::jthread([&] { work(threads, true); }).join();
    } catch (const std::system_error&) {
      work(1, false);
    }
    return status;
  }

  FolderListing take() {
    put(top_);
    return std::move(listing_);
  }

 private:
  struct Task {
    UniqueFd fd;
    std::string path;
    Folder* folder;
  };

  Status run(Task top, unsigned threads, bool is_own_thread) {
    std::vector<std::optional<AttributeReader>> readers(threads);
    FolderCrew<Task> crew(threads);
    return crew.run(std::move(top), [&](unsigned worker, Task task) {
      if (!readers[worker]) readers[worker].emplace(is_own_thread);
      return read_folder(crew, *readers[worker], std::move(task));
    });
  }

  // Describes what the folder holds, then goes into its folders or leaves them to others.
  Status read_folder(FolderCrew<Task>& crew, AttributeReader& attributes, Task task) {
    const int fd = task.fd.get();
    DIR* const stream = ::fdopendir(fd);
    if (stream == nullptr) return system_error(task.path, errno);
    task.fd.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, ::closedir);
    ASSIGN_OR_RETURN(const std::vector<std::string> names, names_in(stream, task.path));
    attributes.enter(fd);
    std::vector<Entry>& entries = task.folder->entries;
    entries.reserve(names.size());
    for (const std::string& name : names) {
      std::string path = task.path.empty() ? name : task.path + "/" + name;
      RETURN_IF_ERROR(describe(fd, name, std::move(path), attributes, entries));
    }
    for (Entry& entry : entries) {
      if (entry.below == nullptr) continue;
      const std::string& path = entry.node.path;
      const std::string name = path.substr(task.path.empty() ? 0 : task.path.size() + 1);
      UniqueFd below(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.valid()) return system_error(path, errno);
      Task next{std::move(below), path, entry.below.get()};
      if (!crew.hand_over(next)) RETURN_IF_ERROR(read_folder(crew, attributes, std::move(next)));
    }
    return ok();
  }

  Status describe(int parent, const std::string& name, std::string path, const AttributeReader& attributes,
                  std::vector<Entry>& entries) const {
    struct stat info {};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return system_error(path, errno);
    const std::optional<NodeType> type = type_of(info.st_mode);
    if (!type) return ok();
    const bool is_excluded = rules_.excludes(path);
    const bool is_folder = *type == NodeType::kDirectory;
    const bool goes_in = is_folder && (!is_excluded || rules_.may_contain_included(path));
    if (is_excluded && !goes_in) return ok();
    Entry& entry = entries.emplace_back();
    entry.is_excluded = is_excluded;
    if (goes_in) entry.below = std::make_unique<Folder>();
    Node& node = entry.node;
    node.path = std::move(path);
    node.type = *type;
    node.mode = info.st_mode & kPermissionBits;
    node.mtime_s = info.st_mtim.tv_sec;
    if (*type == NodeType::kFile) {
      entry.version = FileVersion::of(info);
      entry.has_more_names = info.st_nlink > 1;
      node.size_bytes = static_cast<std::uint64_t>(info.st_size);
      return attributes.read_capability(name, node);
    }
    if (*type == NodeType::kSymlink) {
      ASSIGN_OR_RETURN(node.link, read_link(parent, name, info.st_size));
    }
    if (*type == NodeType::kCharDevice || *type == NodeType::kBlockDevice) {
      node.device_major = ::major(info.st_rdev);
      node.device_minor = ::minor(info.st_rdev);
    }
    return ok();
  }

  // Says whether there was anything to put.
  bool put(Folder& folder) {
    bool any = false;
    for (Entry& entry : folder.entries) {
      if (entry.is_excluded && !put(*entry.below)) continue;
      any = true;
      if (entry.node.type == NodeType::kFile) {
        put_file(entry);
      } else {
        listing_.index.put(std::move(entry.node));
      }
      if (!entry.is_excluded && entry.below != nullptr) put(*entry.below);
    }
    return any;
  }

  // A further name of a file that is there already is a hard link to it.
  void put_file(Entry& entry) {
    Node& node = entry.node;
    if (entry.has_more_names) {
      const auto [first, is_first] = first_names_.try_emplace({entry.version.device, entry.version.inode}, node.path);
      if (!is_first) {
        node.type = NodeType::kHardlink;
        node.link = first->second;
        node.size_bytes = 0;
        node.xattrs.clear();
        listing_.index.put(std::move(node));
        return;
      }
    }
    listing_.versions.emplace(node.path, entry.version);
    listing_.index.put(std::move(node));
  }

  const dockerfile::IgnoreRules& rules_;
  Folder top_;
  FolderListing listing_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> first_names_;  // Of files with several, by inode.
};

}  // namespace

Result<FolderListing> list_folder(UniqueFd folder, const dockerfile::IgnoreRules& rules, unsigned threads) {
  if (threads == 0) threads = std::clamp(2 * std::thread::hardware_concurrency(), 2U, kMostThreads);
  FolderWalk walk(rules);
  RETURN_IF_ERROR(walk.read(std::move(folder), threads));
  return walk.take();
}

}  // namespace imagebuild::builder
