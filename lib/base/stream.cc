#include "base/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace imagebuild {

namespace {
constexpr std::size_t kPieceBytes = 128 * 1024;
}

Result<std::uint64_t> copy_stream(ByteSource& source, ByteSink& sink) {
  std::vector<std::byte> buffer(kPieceBytes);
  std::uint64_t total = 0;
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, source.read(buffer));
    if (count == 0) return total;
    RETURN_IF_ERROR(sink.write(std::span(buffer).first(count)));
    total += count;
  }
}

Result<std::string> read_all(ByteSource& source, std::uint64_t max_bytes) {
  std::string text;
  std::vector<std::byte> buffer(kPieceBytes);
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, source.read(buffer));
    if (count == 0) return text;
    if (text.size() + count > max_bytes) {
      return Error{ErrorCode::kLimit, "more than " + std::to_string(max_bytes) + " bytes"};
    }
    text.append(reinterpret_cast<const char*>(buffer.data()), count);
  }
}

Result<std::size_t> StringSource::read(std::span<std::byte> buffer) {
  const std::size_t count = std::min(buffer.size(), text_.size() - at_);
  std::memcpy(buffer.data(), text_.data() + at_, count);
  at_ += count;
  return count;
}

Status StringSink::write(std::span<const std::byte> bytes) {
  text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return ok();
}

Result<std::size_t> FileSource::read(std::span<std::byte> buffer) {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
  if (wanted == 0) return std::size_t{0};
  while (true) {
    const ssize_t count = ::pread(fd_.get(), buffer.data(), wanted, static_cast<off_t>(at_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read", errno);
    at_ += static_cast<std::uint64_t>(count);
    left_ -= static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }
}

Status FileSink::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return ok();
}

}  // namespace imagebuild
