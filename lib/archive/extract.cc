#include "archive/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "archive/attributes.h"
#include "archive/layer_to_index.h"
#include "archive/path.h"
#include "archive/removal.h"
#include "archive/rooted_path.h"
#include "archive/whiteout.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr int kMaxAttempts = 8;  // At a name that something else keeps taking.

bool is_device(NodeType type) {
  return type == NodeType::kCharDevice || type == NodeType::kBlockDevice;
}

// What a file is made with. Until it has its owner its group is ours, which must not get more than everybody does.
mode_t first_mode(std::uint32_t mode) {
  const bool group_gets_more = ((mode >> 3U) & ~mode & 07U) != 0;
  return group_gets_more ? 0600 : mode & 0777U;
}

FileId id_of(const struct stat& status) {
  return FileId{status.st_dev, status.st_ino};
}

// Content that is read twice: what the first reader took, the second gets again.
class TwiceReadSource final : public ByteSource {
 public:
  explicit TwiceReadSource(ByteSource& content) : content_(content) {}
  void rewind() { rewound_ = true; }
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (rewound_ && at_ < taken_.size()) {
      const std::size_t count = std::min(buffer.size(), taken_.size() - at_);
      std::copy_n(taken_.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
      at_ += count;
      return count;
    }
    ASSIGN_OR_RETURN(const std::size_t count, content_.read(buffer));
    if (!rewound_) taken_.insert(taken_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

 private:
  ByteSource& content_;
  std::vector<std::byte> taken_;
  std::size_t at_ = 0;
  bool rewound_ = false;
};

class Extractor {
 public:
  Extractor(int root_fd, const ExtractOptions& options, LayerToIndex* index)
      : root_fd_(root_fd), options_(options), index_(index), buffer_(kPieceBytes) {}

  Status run(ByteSource& tar) {
    ASSIGN_OR_RETURN(TarReader reader, TarReader::open(tar, options_.limits));
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<Node> node, reader.next());
      if (!node) return finish_folders();
      if (Status done = take(*node, reader.content()); !done.ok()) return done.error().in("'" + node->path + "'");
    }
  }

 private:
  struct Folder {
    std::string path;
    UniqueFd fd;
    FileId id;
    bool current = false;  // Whether the path still leads here.
  };
  struct PendingEnd {
    std::string path;
    std::uint32_t mode;
    std::int64_t mtime_s;
  };

  Status take(const Node& node, ByteSource& content) {
    if (index_ == nullptr) return handle(node, content);
    TwiceReadSource twice(content);
    RETURN_IF_ERROR(index_->apply(node, twice));
    twice.rewind();
    return handle(node, twice);
  }

  Status handle(const Node& node, ByteSource& content) {
    if (options_.whiteouts) {
      ASSIGN_OR_RETURN(const Whiteout whiteout, whiteout_of(node.path));
      if (whiteout.kind == WhiteoutKind::kAufs) return ok();
      if (whiteout.kind != WhiteoutKind::kNone) return hide(whiteout);
    }
    if (node.path.empty()) {
      RETURN_IF_ERROR(dress_folder(root_fd_, ".", node));
    } else {
      const auto [folder, name] = split_path(node.path);
      RETURN_IF_ERROR(enter(std::string(folder)));
      RETURN_IF_ERROR(place(node, std::string(name), content));
      if (options_.whiteouts) written_.insert(key_of(parent_.id, std::string(name)));
    }
    if (options_.on_node) options_.on_node(node);
    return ok();
  }

  // Makes parent_ the folder that `path` leads to, which is made if it is missing.
  Status enter(const std::string& path) {
    if (parent_.current && parent_.path == path) return ok();
    parent_.current = false;
    ASSIGN_OR_RETURN(parent_.fd,
                     open_folder(root_fd_, path, [this](int fd, const std::string& name, const std::string& real_path) {
                       Node node;
                       node.path = real_path;
                       node.type = NodeType::kDirectory;
                       node.mode = 0755;
                       return dress_folder(fd, name, node);
                     }));
    struct stat status {};
    if (::fstat(parent_.fd.get(), &status) != 0) return system_error("cannot look at the folder", errno);
    parent_.path = path;
    parent_.id = id_of(status);
    parent_.current = true;
    return ok();
  }

  Status place(const Node& node, const std::string& name, ByteSource& content) {
    switch (node.type) {
      case NodeType::kFile:
        return place_file(node, name, content);
      case NodeType::kDirectory:
        return place_folder(node, name);
      case NodeType::kHardlink:
        return place_hardlink(node, name);
      case NodeType::kSymlink:
        RETURN_IF_ERROR(make(name, "cannot make the symlink",
                             [&] { return ::symlinkat(node.link.c_str(), parent_.fd.get(), name.c_str()); }));
        return set_special_attributes(parent_.fd.get(), name, node, options_.keep_owners);
      case NodeType::kCharDevice:
      case NodeType::kBlockDevice:
      case NodeType::kFifo:
        return place_special(node, name);
    }
    return ok();
  }

  // Runs a system call that fails with EEXIST while the name is taken, and takes away what has it.
  template <class Call>
  Status make(const std::string& name, const char* doing, Call call) {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      if (call() >= 0) return ok();
      if (errno != EEXIST) break;
      RETURN_IF_ERROR(clear(name));
      errno = EEXIST;
    }
    return system_error(doing, errno);
  }

  Status place_file(const Node& node, const std::string& name, ByteSource& content) {
    UniqueFd fd;
    const Status made = make(name, "cannot make the file", [&] {
      fd.reset(::openat(parent_.fd.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        first_mode(node.mode)));
      return fd.get();
    });
    if (!made.ok()) {
      fd = open_to_rewrite(name);
      if (!fd.valid()) return made;
    }
    FileSink sink(std::move(fd));
    while (node.size_bytes > 0) {
      ASSIGN_OR_RETURN(const std::size_t count, content.read(buffer_));
      if (count == 0) break;
      RETURN_IF_ERROR(sink.write(std::span(buffer_).first(count)));
    }
    return set_file_attributes(sink.fd(), node, options_.keep_owners);
  }

  // A file that another mount of the same file system has something mounted on (a container's /etc/hosts) cannot be
  // removed; it gets new content instead.
  UniqueFd open_to_rewrite(const std::string& name) const {
    constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    UniqueFd fd(::openat(parent_.fd.get(), name.c_str(), kFlags));
    struct stat status {};
    const bool is_own =
        fd.valid() && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
    return is_own && ::ftruncate(fd.get(), 0) == 0 ? std::move(fd) : UniqueFd();
  }

  Status place_folder(const Node& node, const std::string& name) {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      if (::mkdirat(parent_.fd.get(), name.c_str(), 0700) == 0) return dress_folder(parent_.fd.get(), name, node);
      if (errno != EEXIST) return system_error("cannot make the folder", errno);
      struct stat status {};
      if (::fstatat(parent_.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
        return dress_folder(parent_.fd.get(), name, node);
      }
      RETURN_IF_ERROR(clear(name));
    }
    return system_error("cannot make the folder", EEXIST);
  }

  // Gives the folder `name` in `folder_fd` what the node says, and remembers what has to wait until the end.
  Status dress_folder(int folder_fd, const std::string& name, const Node& node) {
    const UniqueFd fd(::openat(folder_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error("cannot open the folder", errno);
    pending_[id_of(status)] = PendingEnd{node.path, node.mode, node.mtime_s};
    return set_folder_attributes(fd.get(), node, options_.keep_owners);
  }

  Status place_special(const Node& node, const std::string& name) {
    mode_t type = S_IFIFO;
    dev_t number = 0;
    if (is_device(node.type)) {
      if (!options_.keep_owners) return Error{ErrorCode::kUnsupported, "a device node can only be made by root"};
      type = node.type == NodeType::kCharDevice ? S_IFCHR : S_IFBLK;
      number = ::gnu_dev_makedev(node.device_major, node.device_minor);
      if (node.type == NodeType::kCharDevice && number == 0) {
        return Error{ErrorCode::kUnsupported, "the character device 0/0 is overlayfs's mark of a removed file"};
      }
    }
    const Status made = make(name, "cannot make the special file", [&] {
      return ::mknodat(parent_.fd.get(), name.c_str(), type | (node.mode & 07777U), number);
    });
    if (!made.ok() && made.error().code == ErrorCode::kDenied && is_device(node.type)) {
      return Error{ErrorCode::kUnsupported,
                   "a device node can only be made by root (with CAP_MKNOD, in no user namespace)"};
    }
    if (!made.ok()) return made.error();
    return set_special_attributes(parent_.fd.get(), name, node, options_.keep_owners);
  }

  // A hard link is another name: the attributes are those of the file it shares. The last part of the target is not
  // followed, so that a link to a symlink shares the symlink, as Docker does it.
  Status place_hardlink(const Node& node, const std::string& name) {
    const auto missing = [&] {
      return Error{ErrorCode::kCorrupt, "the hard link names '" + node.link + "', which does not exist"};
    };
    const auto [folder, target] = split_path(node.link);
    Result<UniqueFd> target_folder = open_folder(root_fd_, std::string(folder), nullptr);
    if (!target_folder.ok())
      return target_folder.error().code == ErrorCode::kNotFound ? missing() : target_folder.error();
    const std::string target_name(target);
    struct stat wanted {};
    if (::fstatat(target_folder->get(), target_name.c_str(), &wanted, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? missing() : system_error("cannot look at '" + node.link + "'", errno);
    }
    if (S_ISDIR(wanted.st_mode)) {
      return Error{ErrorCode::kCorrupt, "the hard link names '" + node.link + "', which is a folder"};
    }
    struct stat present {};
    if (::fstatat(parent_.fd.get(), name.c_str(), &present, AT_SYMLINK_NOFOLLOW) == 0 &&
        id_of(present) == id_of(wanted)) {
      return ok();
    }
    const Status made = make(name, "cannot make the hard link", [&] {
      return ::linkat(target_folder->get(), target_name.c_str(), parent_.fd.get(), name.c_str(), 0);
    });
    return !made.ok() && made.error().code == ErrorCode::kNotFound ? Status(missing()) : made;
  }

  // Takes away whatever has the name in parent_.
  Status clear(const std::string& name) {
    struct stat status {};
    if (::fstatat(parent_.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? ok() : Status(system_error("cannot look at what is there", errno));
    }
    RemovalRules rules;
    rules.folder_gone = [this](const FileId& id) { pending_.erase(id); };
    if (S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode)) parent_.current = false;
    return remove_tree(parent_.fd.get(), name, rules);
  }

  Status hide(const Whiteout& whiteout) {
    const bool opaque = whiteout.kind == WhiteoutKind::kOpaque;
    const auto [folder, name] = split_path(whiteout.path);
    Result<UniqueFd> fd = open_folder(root_fd_, opaque ? whiteout.path : std::string(folder), nullptr);
    if (!fd.ok()) {
      // Where the path leads nowhere, there is nothing to hide.
      const bool nothing = fd.error().code == ErrorCode::kNotFound || fd.error().code == ErrorCode::kCorrupt;
      return nothing ? ok() : Status(fd.error());
    }
    parent_.current = false;
    RemovalRules rules;
    rules.stays = [this](const FileId& in, const std::string& one) { return written_.contains(key_of(in, one)); };
    rules.folder_gone = [this](const FileId& id) { pending_.erase(id); };
    return opaque ? remove_children(fd->get(), rules) : remove_tree(fd->get(), std::string(name), rules);
  }

  Status finish_folders() {
    std::vector<std::pair<FileId, PendingEnd>> ends(pending_.begin(), pending_.end());
    // What is deeper comes first: a folder may lose its permission to be entered.
    std::sort(ends.begin(), ends.end(), [](const auto& a, const auto& b) { return a.second.path > b.second.path; });
    for (const auto& [id, end] : ends) {
      const UniqueFd fd = reopen(end.path);
      struct stat status {};
      // A path that leads elsewhere by now went through a symlink that a later entry replaced.
      if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || id_of(status) != id) continue;
      RETURN_IF_ERROR(set_folder_end(fd.get(), end.mode, end.mtime_s, options_.keep_owners).in("'" + end.path + "'"));
    }
    return ok();
  }

  UniqueFd reopen(const std::string& path) {
    const auto [folder, name] = split_path(path);
    if (!parent_.current || parent_.path != folder) {
      Result<UniqueFd> opened = open_folder(root_fd_, std::string(folder), nullptr);
      parent_.current = opened.ok();
      if (!opened.ok()) return UniqueFd();
      parent_.path = std::string(folder);
      parent_.fd = std::move(opened).value();
    }
    const std::string last = name.empty() ? "." : std::string(name);
    return UniqueFd(::openat(parent_.fd.get(), last.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }

  // A name in a folder, whatever path led there.
  static std::string key_of(const FileId& folder, const std::string& name) {
    return std::to_string(folder.device) + ':' + std::to_string(folder.inode) + '/' + name;
  }

  int root_fd_;
  const ExtractOptions& options_;
  LayerToIndex* index_;
  std::vector<std::byte> buffer_;
  Folder parent_;
  std::unordered_set<std::string> written_;  // What this archive brought, by key_of().
  std::map<FileId, PendingEnd> pending_;
};

}  // namespace

Status extract(ByteSource& tar, int root_fd, const ExtractOptions& options) {
  return Extractor(root_fd, options, nullptr).run(tar);
}

Status extract_and_index(ByteSource& tar, int root_fd, const ExtractOptions& options,
                         const std::vector<std::string>& keep_content, TreeIndex& index) {
  LayerToIndex layer(keep_content, index);
  return Extractor(root_fd, options, &layer).run(tar);
}

}  // namespace imagebuild::archive
