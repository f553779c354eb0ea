#include "builder/stage/unpack.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "archive/tar_reader.h"
#include "base/file.h"

namespace imagebuild::builder {
namespace {

using archive::NodeType;

// Content one after the other in a file that has no name: gone when the last reader is.
class Spool {
 public:
  static Result<std::shared_ptr<Spool>> create(const std::filesystem::path& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return std::make_shared<Spool>(UniqueFd(fd));
    // Some network file systems have no nameless files.
    const std::filesystem::path named = folder / "unpacking";
    ASSIGN_OR_RETURN(UniqueFd file, open_file(named, O_RDWR | O_CREAT | O_EXCL, 0600));
    ::unlink(named.c_str());
    return std::make_shared<Spool>(std::move(file));
  }
  explicit Spool(UniqueFd fd) : sink_(std::move(fd)) {}

  Status append(ByteSource& content) {
    ASSIGN_OR_RETURN(const std::uint64_t size, copy_stream(content, sink_));
    end_ += size;
    return imagebuild::ok();
  }
  std::uint64_t end() const { return end_; }
  Result<std::unique_ptr<ByteSource>> open(std::uint64_t offset, std::uint64_t size) const {
    UniqueFd copy(::fcntl(sink_.fd(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return system_error("cannot read unpacked content", errno);
    return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(copy), offset, size));
  }

 private:
  FileSink sink_;
  std::uint64_t end_ = 0;
};

class Unpacking {
 public:
  Unpacking(std::string folder, std::optional<Owner> owner, std::shared_ptr<Spool> spool, CopyTarget& target)
      : folder_(std::move(folder)), owner_(owner), spool_(std::move(spool)), target_(target) {}

  Status put(archive::Node node, ByteSource& content) {
    if (node.path.empty()) return imagebuild::ok();  // "./" is the destination, which keeps its metadata.
    ASSIGN_OR_RETURN(const std::string path, place_of(node.path));
    if (owner_) {
      node.uid = owner_->uid;
      node.gid = owner_->gid;
    }
    if (node.type == NodeType::kHardlink) return put_link(node, path);
    keep_layer_xattrs(node);
    LayerEntry entry;
    if (node.type == NodeType::kFile) {
      const std::uint64_t offset = spool_->end();
      RETURN_IF_ERROR(spool_->append(content));
      const std::uint64_t size = spool_->end() - offset;
      node.size_bytes = size;
      entry.open = [spool = spool_, offset, size] { return spool->open(offset, size); };
    }
    node.path = path;
    entry.node = std::move(node);
    return target_.replace(std::move(entry));
  }

 private:
  // Parents are resolved in the root: "lib/x" lands in usr/lib when /lib is a link to it, unless the archive has an
  // entry for the folder "lib", which replaces the link.
  Result<std::string> place_of(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string parent, target_.resolve(join_path(folder_, parent_path(path)), true));
    return join_path(parent, last_part(path));
  }

  // Both names become one file; which of them carries the content is decided when the layer is sorted.
  Status put_link(const archive::Node& node, const std::string& path) {
    ASSIGN_OR_RETURN(const std::string file, place_of(node.link));
    const auto first = target_.entries().find(file);
    if (first == target_.entries().end()) {
      ASSIGN_OR_RETURN(const std::optional<Found> there, target_.lookup(file));
      if (there && there->node.type == NodeType::kFile) return target_.replace(link_to(*there, path));
    }
    if (first == target_.entries().end() || first->second.node.type == NodeType::kDirectory) {
      return Error{ErrorCode::kInvalidInput, "the archive's hard link '" + node.path + "' names '" + node.link +
                                                 "', which neither the archive holds before it nor the destination"};
    }
    if (first->second.file_id == 0) first->second.file_id = target_.new_file_id();
    LayerEntry entry = first->second;
    entry.node.path = path;
    return target_.replace(std::move(entry));
  }

  // A name for a file that the stage had before.
  static LayerEntry link_to(const Found& file, const std::string& path) {
    LayerEntry entry;
    entry.node = file.node;
    entry.node.type = NodeType::kHardlink;
    entry.node.path = path;
    entry.node.link = file.node.path;
    entry.node.size_bytes = 0;
    entry.node.xattrs.clear();
    return entry;
  }

  std::string folder_;
  std::optional<Owner> owner_;
  std::shared_ptr<Spool> spool_;
  CopyTarget& target_;
};

}  // namespace

Status unpack(ByteSource& tar, const std::string& folder, std::optional<Owner> owner,
              const std::filesystem::path& spool_folder, CopyTarget& target) {
  ASSIGN_OR_RETURN(std::shared_ptr<Spool> spool, Spool::create(spool_folder));
  ASSIGN_OR_RETURN(archive::TarReader reader, archive::TarReader::open(tar));
  Unpacking unpacking(folder, owner, std::move(spool), target);
  while (true) {
    ASSIGN_OR_RETURN(std::optional<archive::Node> node, reader.next());
    if (!node) return imagebuild::ok();
    RETURN_IF_ERROR(unpacking.put(std::move(*node), reader.content()));
  }
}

}  // namespace imagebuild::builder
