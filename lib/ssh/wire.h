// The data types of SSH (RFC 4251, section 5) as keys, signatures and agent messages are made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/stream.h"

namespace imagebuild::ssh {

using Bytes = std::vector<std::byte>;

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads one value after the other. After the first one that is not whole, good() is false and every value is empty, so
// that a caller may read a whole structure and then ask once. What it returns points into the bytes given.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::span<const std::byte> raw(std::size_t count) {
    good_ = good_ && count <= rest_.size();
    if (!good_) return {};
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t byte() {
    const auto taken = raw(1);
    return taken.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(taken[0]);
  }
  std::uint32_t uint32() {
    std::uint32_t value = 0;
    for (const std::byte part : raw(4)) value = value << 8U | std::to_integer<std::uint32_t>(part);
    return value;
  }
  std::span<const std::byte> string() { return raw(uint32()); }
  std::string_view text() { return as_text(string()); }

  bool good() const { return good_; }
  std::span<const std::byte> rest() const { return good_ ? rest_ : std::span<const std::byte>(); }
  bool at_end() const { return good_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool good_ = true;
};

// Puts one value after the other. A string must be shorter than 4 GiB.
class Writer {
 public:
  Writer& raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer& byte(std::uint8_t value) {
    bytes_.push_back(std::byte{value});
    return *this;
  }
  Writer& uint32(std::size_t value) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) byte(static_cast<std::uint8_t>(value >> shift & 0xffU));
    return *this;
  }
  Writer& string(std::span<const std::byte> bytes) { return uint32(bytes.size()).raw(bytes); }
  Writer& text(std::string_view text) { return string(as_bytes(text)); }

  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace imagebuild::ssh
