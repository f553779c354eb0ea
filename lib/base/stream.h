// Bytes that come and bytes that go, a piece at a time. Every large thing in the project moves through these two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills a part of `buffer` (never empty) and returns how many bytes; 0 is the end. After an error the source is dead.
  virtual Result<std::size_t> read(std::span<std::byte> buffer) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `bytes` or fails. After an error the sink is dead.
  virtual Status write(std::span<const std::byte> bytes) = 0;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// Moves everything from `source` to `sink`; returns how many bytes.
Result<std::uint64_t> copy_stream(ByteSource& source, ByteSink& sink);

// Everything `source` has, which must be at most `max_bytes` (kLimit otherwise).
Result<std::string> read_all(ByteSource& source, std::uint64_t max_bytes);

// Text held in memory.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override;

 private:
  std::string text_;
  std::size_t at_ = 0;
};

class StringSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte> bytes) override;
  std::string& text() { return text_; }

 private:
  std::string text_;
};

// A part of a file, read with pread: several sources may share one descriptor's file without disturbing each other.
class FileSource final : public ByteSource {
 public:
  // Reads from `offset` up to `size` bytes further, or to the end of the file, whichever comes first.
  explicit FileSource(UniqueFd fd, std::uint64_t offset = 0, std::uint64_t size = UINT64_MAX)
      : fd_(std::move(fd)), at_(offset), left_(size) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override;

 private:
  UniqueFd fd_;
  std::uint64_t at_;
  std::uint64_t left_;
};

class FileSink final : public ByteSink {
 public:
  explicit FileSink(UniqueFd fd) : fd_(std::move(fd)) {}
  Status write(std::span<const std::byte> bytes) override;
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace imagebuild
