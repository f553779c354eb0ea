#include "archive/tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "archive/rooted_path.h"
#include "base/file.h"

namespace imagebuild::archive {

namespace {

// Exactly `size` bytes of a file from `offset` on, or an error. A whole file must have that size at the end too.
class ExactSource final : public ByteSource {
 public:
  ExactSource(UniqueFd fd, const Node& node, std::optional<std::uint64_t> offset)
      : fd_(std::move(fd)), path_(node.path), size_(node.size_bytes), start_(offset) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - done_));
    if (wanted == 0) return finish();
    while (true) {
      const auto at = static_cast<off_t>(start_.value_or(0) + done_);
      const ssize_t count = ::pread(fd_.get(), buffer.data(), wanted, at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("cannot read '" + path_ + "'", errno);
      if (count == 0) return cut_off();
      done_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
  }

 private:
  Error cut_off() const {
    if (start_) return Error{ErrorCode::kCorrupt, "the archive ends before the content of '" + path_ + "' does"};
    return Error{ErrorCode::kInvalidInput, "'" + path_ + "' changed while it was read; build again when it is at rest"};
  }
  Result<std::size_t> finish() {
    if (start_) return std::size_t{0};
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return system_error(path_, errno);
    if (static_cast<std::uint64_t>(status.st_size) != size_) return cut_off();
    return std::size_t{0};
  }

  UniqueFd fd_;
  std::string path_;
  std::uint64_t size_;
  std::optional<std::uint64_t> start_;
  std::uint64_t done_ = 0;
};

}  // namespace

Result<Tree> Tree::open_tar(const std::filesystem::path& tar, TreeIndex index) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(tar, O_RDONLY));
  return Tree(std::move(index), std::move(fd), true);
}

Result<Tree> Tree::open_directory(const std::filesystem::path& directory, TreeIndex index) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(directory, O_PATH | O_DIRECTORY));
  return Tree(std::move(index), std::move(fd), false);
}

Result<std::unique_ptr<ByteSource>> Tree::open(const Node& node) const {
  const Node* file = &node;
  if (node.type == NodeType::kHardlink) {
    file = index_.find(node.link);
    if (file == nullptr)
      return Error{ErrorCode::kCorrupt, "'" + node.path + "' shares the missing file '" + node.link + "'"};
  }
  if (file->type != NodeType::kFile) return Error{ErrorCode::kInternal, "'" + node.path + "' is not a regular file"};
  if (file->content) return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(*file->content));
  if (is_tar_) {
    if (!file->data_offset && file->size_bytes > 0) {
      return Error{ErrorCode::kInternal, "the index does not say where the content of '" + file->path + "' is"};
    }
    UniqueFd fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd.valid()) return system_error("cannot open the archive again", errno);
    return std::unique_ptr<ByteSource>(
        std::make_unique<ExactSource>(std::move(fd), *file, file->data_offset.value_or(0)));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, open_beneath(fd_.get(), file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_error("'" + file->path + "'", errno);
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != file->size_bytes) {
    return Error{ErrorCode::kInvalidInput,
                 "'" + file->path + "' changed since it was listed; build again when it is at rest"};
  }
  return std::unique_ptr<ByteSource>(std::make_unique<ExactSource>(std::move(fd), *file, std::nullopt));
}

}  // namespace imagebuild::archive
