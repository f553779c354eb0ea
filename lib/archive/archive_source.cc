// Archives as ADD finds them: is this one at all, and how is it packed?
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "archive/compress.h"
#include "archive/tar_reader.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 128 * 1024;
constexpr std::size_t kTarBlockBytes = 512;
constexpr std::string_view kBzip2Magic = "BZh";
constexpr std::string_view kXzMagic(
    "\xfd"
    "7zXZ\0",
    6);

// A source whose first bytes were read to look at them.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::vector<std::byte> first, std::unique_ptr<ByteSource> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (at_ == first_.size()) return rest_->read(buffer);
    const std::size_t count = std::min(buffer.size(), first_.size() - at_);
    std::memcpy(buffer.data(), first_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::vector<std::byte> first_;
  std::unique_ptr<ByteSource> rest_;
  std::size_t at_ = 0;
};

// bzip2 and xz, through libarchive's "raw" format: a stream with nothing in it but itself.
class FilteredSource final : public ByteSource {
 public:
  FilteredSource(std::unique_ptr<ByteSource> source, bool xz)
      : source_(std::move(source)), input_(kInputBytes), xz_(xz) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (!reader_) RETURN_IF_ERROR(open());
    const la_ssize_t count = ::archive_read_data(reader_.get(), buffer.data(), buffer.size());
    if (count < 0) return failure();
    return static_cast<std::size_t>(count);
  }

 private:
  struct FreeArchive {
    void operator()(::archive* reader) const { ::archive_read_free(reader); }
  };

  Status open() {
    reader_.reset(::archive_read_new());
    if (!reader_) return Error{ErrorCode::kInternal, "not enough memory"};
    ::archive* reader = reader_.get();
    const int filter = xz_ ? ::archive_read_support_filter_xz(reader) : ::archive_read_support_filter_bzip2(reader);
    ::archive_entry* entry = nullptr;
    if (filter != ARCHIVE_OK || ::archive_read_support_format_raw(reader) != ARCHIVE_OK ||
        ::archive_read_open(reader, this, nullptr, &FilteredSource::feed, nullptr) != ARCHIVE_OK ||
        ::archive_read_next_header(reader, &entry) != ARCHIVE_OK) {
      return failure();
    }
    return ok();
  }

  static la_ssize_t feed(::archive* reader, void* self, const void** buffer) {
    auto& source = *static_cast<FilteredSource*>(self);
    *buffer = source.input_.data();
    const Result<std::size_t> count = source.source_->read(source.input_);
    if (count.ok()) return static_cast<la_ssize_t>(*count);
    source.source_error_ = count.error();
    ::archive_set_error(reader, EIO, "the source failed");
    return ARCHIVE_FATAL;
  }

  Error failure() const {
    if (source_error_) return *source_error_;
    const char* text = ::archive_error_string(reader_.get());
    return Error{ErrorCode::kCorrupt, std::string(xz_ ? "broken xz data: " : "broken bzip2 data: ") +
                                          (text == nullptr ? "unknown reason" : text)};
  }

  std::unique_ptr<ByteSource> source_;
  std::vector<std::byte> input_;
  bool xz_;
  std::optional<Error> source_error_;
  std::unique_ptr<::archive, FreeArchive> reader_;
};

// Up to `size` first bytes.
Result<std::vector<std::byte>> peek(ByteSource& source, std::size_t size) {
  std::vector<std::byte> first(size);
  std::size_t filled = 0;
  while (filled < size) {
    ASSIGN_OR_RETURN(const std::size_t count, source.read(std::span(first).subspan(filled)));
    if (count == 0) break;
    filled += count;
  }
  first.resize(filled);
  return first;
}

// Whether a block is a tar header: its checksum says so in every dialect.
bool is_tar_header(std::span<const std::byte> block) {
  if (block.size() < kTarBlockBytes) return false;
  constexpr std::size_t kChecksumAt = 148;
  constexpr std::size_t kChecksumBytes = 8;
  std::uint64_t stated = 0;
  bool digits = false;
  for (std::size_t i = kChecksumAt; i < kChecksumAt + kChecksumBytes; ++i) {
    const char byte = static_cast<char>(block[i]);
    if (byte >= '0' && byte <= '7') {
      stated = stated * 8 + static_cast<std::uint64_t>(byte - '0');
      digits = true;
    } else if (digits || byte != ' ') {
      break;
    }
  }
  std::uint64_t sum = 0;
  std::uint64_t signed_sum = 0;  // Some old programs summed signed bytes.
  for (std::size_t i = 0; i < kTarBlockBytes; ++i) {
    const bool blank = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes;
    const std::byte byte = blank ? std::byte{' '} : block[i];
    sum += std::to_integer<std::uint64_t>(byte);
    signed_sum += static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<signed char>(byte)));
  }
  return digits && block[0] != std::byte{0} && (stated == sum || stated == signed_sum);
}

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_if_archive(std::unique_ptr<ByteSource> content) {
  ASSIGN_OR_RETURN(std::vector<std::byte> first, peek(*content, kTarBlockBytes));
  const Compression compression = detect_compression(first);
  const bool bzip2 = begins_with(first, kBzip2Magic);
  const bool xz = begins_with(first, kXzMagic);
  if (compression == Compression::kNone && !bzip2 && !xz && !is_tar_header(first)) return std::unique_ptr<ByteSource>();

  std::unique_ptr<ByteSource> tar = std::make_unique<PeekedSource>(std::move(first), std::move(content));
  if (compression != Compression::kNone) {
    tar = decompress(std::move(tar), compression);
  } else if (bzip2 || xz) {
    tar = std::make_unique<FilteredSource>(std::move(tar), xz);
  } else {
    return tar;
  }
  Result<std::vector<std::byte>> inner = peek(*tar, kTarBlockBytes);
  if (!inner.ok() && inner.error().code != ErrorCode::kCorrupt) return inner.error();
  if (!inner.ok() || !is_tar_header(*inner)) return std::unique_ptr<ByteSource>();
  return std::unique_ptr<ByteSource>(std::make_unique<PeekedSource>(std::move(inner).value(), std::move(tar)));
}

}  // namespace imagebuild::archive
