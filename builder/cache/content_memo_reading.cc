#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "archive/rooted_path.h"
#include "builder/cache/content_memo.h"

namespace imagebuild::builder {

// One file on its way to whoever opened it.
class ContentMemo::Content final : public ByteSource {
 public:
  Content(ContentMemo& memo, UniqueFd fd, const archive::Node& file, const struct stat& before,
          std::int64_t read_from_ns, ContentLog::OnEnd on_end)
      : memo_(memo),
        fd_(std::move(fd)),
        path_(file.path),
        size_(file.size_bytes),
        before_(archive::FileVersion::of(before)),
        read_from_ns_(read_from_ns),
        known_(memo.known(before_)),
        on_end_(std::move(on_end)) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - done_));
    if (wanted == 0) return finish();
    while (true) {
      const ssize_t count = ::pread(fd_.get(), buffer.data(), wanted, static_cast<off_t>(done_));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("cannot read '" + path_ + "'", errno);
      if (count == 0) return changed();
      if (!known_) hasher_.update(buffer.first(static_cast<std::size_t>(count)));
      done_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
  }

 private:
  Error changed() const {
    return Error{ErrorCode::kInvalidInput, "'" + path_ + "' changed while it was read; build again when it is at rest"};
  }

  Result<std::size_t> finish() {
    if (is_told_) return std::size_t{0};
    struct stat after {};
    if (::fstat(fd_.get(), &after) != 0) return system_error("'" + path_ + "'", errno);
    if (static_cast<std::uint64_t>(after.st_size) != size_) return changed();
    is_told_ = true;
    const bool is_same = before_ == archive::FileVersion::of(after);
    if (known_) {
      on_end_(is_same ? Result<oci::Digest>(*known_) : changed());
      return std::size_t{0};
    }
    const oci::Digest digest = hasher_.finish();
    if (is_same) memo_.note(before_, digest, read_from_ns_);
    on_end_(digest);
    return std::size_t{0};
  }

  ContentMemo& memo_;
  UniqueFd fd_;
  const std::string path_;
  const std::uint64_t size_;
  const archive::FileVersion before_;
  const std::int64_t read_from_ns_;
  const std::optional<oci::Digest> known_;
  const ContentLog::OnEnd on_end_;
  oci::Hasher hasher_;
  std::uint64_t done_ = 0;
  bool is_told_ = false;
};

Result<std::unique_ptr<ByteSource>> ContentMemo::open_content(const archive::Node& file, ContentLog::OnEnd on_end) {
  const std::int64_t read_from_ns = now_ns();
  ASSIGN_OR_RETURN(UniqueFd fd, archive::open_beneath(folder_.get(), file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat before {};
  if (::fstat(fd.get(), &before) != 0) return system_error("'" + file.path + "'", errno);
  if (!S_ISREG(before.st_mode) || static_cast<std::uint64_t>(before.st_size) != file.size_bytes) {
    return Error{ErrorCode::kInvalidInput,
                 "'" + file.path + "' changed since it was listed; build again when it is at rest"};
  }
  return std::unique_ptr<ByteSource>(
      std::make_unique<Content>(*this, std::move(fd), file, before, read_from_ns, std::move(on_end)));
}

}  // namespace imagebuild::builder
