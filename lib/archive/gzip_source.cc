#include "archive/gzip_source.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 128 * 1024;

// Flags of a member's header.
constexpr unsigned kHasHeaderCheck = 0x02;
constexpr unsigned kHasExtraField = 0x04;
constexpr unsigned kHasName = 0x08;
constexpr unsigned kHasComment = 0x10;
constexpr unsigned kReserved = 0xe0;

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, what};
}

Error broken(const std::string& how) {
  return corrupt("broken gzip data: " + how);
}

class GzipSource final : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> source, std::unique_ptr<Inflater> inflater)
      : source_(std::move(source)), inflater_(std::move(inflater)), buffer_(kInputBytes) {}

  Result<std::size_t> read(std::span<std::byte> out) override {
    while (!ended_) {
      if (!in_stream_) {
        RETURN_IF_ERROR(begin_member());
        continue;
      }
      ASSIGN_OR_RETURN(const Inflater::Progress progress, inflater_->inflate(input_, out));
      input_ = input_.subspan(progress.taken);
      crc_ = libdeflate_crc32(crc_, out.data(), progress.made);
      size_ += static_cast<std::uint32_t>(progress.made);
      if (progress.ended) {
        RETURN_IF_ERROR(end_member());
      } else if (progress.taken == 0 && progress.made == 0) {
        if (!input_.empty()) return broken("invalid deflate blocks");
        RETURN_IF_ERROR(need_input());
      }
      if (progress.made > 0) return progress.made;
    }
    return std::size_t{0};
  }

 private:
  // Between members: another one, or the end.
  Status begin_member() {
    if (input_.empty()) RETURN_IF_ERROR(fill());
    if (input_.empty()) {
      ended_ = true;
      return any_member_ ? ok() : Status(corrupt("the gzip data is empty"));
    }
    if (any_member_ && (padding_ || input_.front() == std::byte{0})) {
      padding_ = true;
      if (std::ranges::any_of(input_, [](std::byte byte) { return byte != std::byte{0}; })) {
        return corrupt("there is other data behind the gzip data");
      }
      input_ = {};
      return ok();
    }
    any_member_ = true;
    RETURN_IF_ERROR(read_header());
    RETURN_IF_ERROR(inflater_->begin());
    in_stream_ = true;
    crc_ = 0;
    size_ = 0;
    return ok();
  }

  Status read_header() {
    header_crc_ = 0;
    ASSIGN_OR_RETURN(const std::uint32_t magic, take_header(2));
    if (magic != 0x8b1f) return broken("incorrect header check");
    ASSIGN_OR_RETURN(const std::uint32_t method, take_header(1));
    ASSIGN_OR_RETURN(const std::uint32_t flags, take_header(1));
    if (method != 8) return broken("unknown compression method");
    if ((flags & kReserved) != 0) return broken("unknown header flags set");
    RETURN_IF_ERROR(take_header(4));  // The time,
    RETURN_IF_ERROR(take_header(2));  // how it was compressed, and on what system.
    if ((flags & kHasExtraField) != 0) {
      ASSIGN_OR_RETURN(const std::uint32_t length, take_header(2));
      for (std::uint32_t i = 0; i < length; ++i) RETURN_IF_ERROR(take_header(1));
    }
    if ((flags & kHasName) != 0) RETURN_IF_ERROR(skip_text());
    if ((flags & kHasComment) != 0) RETURN_IF_ERROR(skip_text());
    if ((flags & kHasHeaderCheck) != 0) {
      const std::uint32_t expected = header_crc_ & 0xffff;
      ASSIGN_OR_RETURN(const std::uint32_t found, take_header(2));
      if (found != expected) return broken("header crc mismatch");
    }
    return ok();
  }

  Status skip_text() {
    while (true) {
      ASSIGN_OR_RETURN(const std::uint32_t character, take_header(1));
      if (character == 0) return ok();
    }
  }

  Status end_member() {
    in_stream_ = false;
    beyond_ = inflater_->beyond();
    ASSIGN_OR_RETURN(const std::uint32_t crc, take(4));
    if (crc != crc_) return broken("incorrect data check");
    ASSIGN_OR_RETURN(const std::uint32_t size, take(4));
    if (size != size_) return broken("incorrect length check");
    return ok();
  }

  Result<std::uint32_t> take_header(unsigned bytes) {
    ASSIGN_OR_RETURN(const std::uint32_t value, take(bytes));
    for (unsigned i = 0; i < bytes; ++i) {
      const auto byte = static_cast<std::uint8_t>(value >> (8 * i));
      header_crc_ = libdeflate_crc32(header_crc_, &byte, 1);
    }
    return value;
  }

  // A number of up to four bytes, the lowest first.
  Result<std::uint32_t> take(unsigned bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
      std::span<const std::byte>& from = beyond_.empty() ? input_ : beyond_;
      if (from.empty()) RETURN_IF_ERROR(need_input());
      value |= static_cast<std::uint32_t>(from.front()) << (8 * i);
      from = from.subspan(1);
    }
    return value;
  }

  Status need_input() {
    RETURN_IF_ERROR(fill());
    return input_.empty() ? Status(corrupt("the gzip data ends too early")) : ok();
  }

  Status fill() {
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(buffer_));
    input_ = std::span<const std::byte>(buffer_).first(count);
    return ok();
  }

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<Inflater> inflater_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> input_;   // What is left in the buffer.
  std::span<const std::byte> beyond_;  // What the inflater took too much of; goes before it.
  std::uint32_t crc_ = 0;              // Of the member so far, and its size modulo 2^32.
  std::uint32_t size_ = 0;
  std::uint32_t header_crc_ = 0;
  bool in_stream_ = false;
  bool any_member_ = false;
  bool padding_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> unpack_gzip(std::unique_ptr<ByteSource> source, std::unique_ptr<Inflater> inflater) {
  return std::make_unique<GzipSource>(std::move(source), std::move(inflater));
}

}  // namespace imagebuild::archive
