// Content addresses (OCI image-spec, descriptor.md#digests). Only sha256 is produced and accepted.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::oci {

class Digest {
 public:
  // "sha256:" and 64 lower-case hexadecimal digits; anything else is kInvalidInput.
  static Result<Digest> parse(std::string_view text);
  // The digest of bytes that are all here.
  static Digest of(std::string_view bytes);

  const std::string& str() const { return text_; }                            // "sha256:9f86…"
  std::string_view hex() const { return std::string_view(text_).substr(7); }  // The 64 digits.
  auto operator<=>(const Digest&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 errs here.

 private:
  friend class Hasher;
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Computes a digest while bytes pass by.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::span<const std::byte> bytes);
  // The digest of everything so far; the hasher must not be used afterwards.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Passes everything on to `next`, hashing and counting it.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& next) : next_(next) {}
  Status write(std::span<const std::byte> bytes) override;
  Digest finish() { return hasher_.finish(); }
  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  ByteSink& next_;
  Hasher hasher_;
  std::uint64_t size_bytes_ = 0;
};

// `source`, cut off with kCorrupt as soon as its bytes cannot be what was promised: more than `size_bytes`, fewer, or
// another digest. The mismatch is reported by the read that would otherwise have returned the last bytes, so a consumer
// never sees a clean end of wrong content.
std::unique_ptr<ByteSource> verified(std::unique_ptr<ByteSource> source, const Digest& digest,
                                     std::uint64_t size_bytes);

}  // namespace imagebuild::oci
