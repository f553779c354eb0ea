#include "builder/stage/layer_notes.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "api/report.h"
#include "lint/image/image.h"

namespace imagebuild::builder {

namespace {

constexpr std::uint64_t kMaxKeyFileBytes = 64 * 1024;
constexpr std::size_t kKeyBeginsWithin = 1024;  // Some tools write a few lines about the key before it.

// RFC 7468 and its kin: "-----BEGIN PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----", "… PRIVATE KEY
// BLOCK-----".
bool begins_as_private_key(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  std::size_t at = text.find(kBegin);
  for (; at != std::string_view::npos; at = text.find(kBegin, at + 1)) {
    if (at > 0 && text[at - 1] != '\n') continue;
    const std::string_view line = text.substr(at, text.find_first_of("\r\n", at) - at);
    if (line.ends_with("PRIVATE KEY-----") || line.ends_with("PRIVATE KEY BLOCK-----")) return true;
  }
  return false;
}

// A checksum of the content that costs little: eight bytes at a time. Nobody's safety depends on it.
class Fingerprint {
 public:
  void add(const std::byte* bytes, std::size_t size) {
    for (; size > 0 && carried_ > 0; ++bytes, --size) add_byte(*bytes);
    for (; size >= sizeof(std::uint64_t); bytes += sizeof(std::uint64_t), size -= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, sizeof word);
      mix(word);
    }
    for (; size > 0; ++bytes, --size) add_byte(*bytes);
  }

  std::string text() const {
    Fingerprint end = *this;
    if (end.carried_ > 0) end.mix(end.carry_ | std::uint64_t{1} << 63);
    return std::string(reinterpret_cast<const char*>(&end.state_), sizeof end.state_);
  }

 private:
  void add_byte(std::byte byte) {
    carry_ |= static_cast<std::uint64_t>(byte) << (8 * carried_);
    if (++carried_ < sizeof(std::uint64_t)) return;
    mix(std::exchange(carry_, 0));
    carried_ = 0;
  }
  void mix(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x9E3779B97F4A7C15ULL;
    state_ ^= state_ >> 29;
  }

  std::uint64_t state_ = 0x243F6A8885A308D3ULL;
  std::uint64_t carry_ = 0;
  unsigned carried_ = 0;  // Bytes in carry_.
};

}  // namespace

// Notes what it has seen when the writer is done with it.
class LayerNotes::Watched final : public ByteSource {
 public:
  Watched(LayerNotes& notes, const archive::Node& node, std::unique_ptr<ByteSource> content)
      : notes_(notes),
        path_(node.path),
        is_large_(node.size_bytes >= lint::kFingerprintFromBytes),
        content_(std::move(content)) {}

  ~Watched() override {
    if (is_large_) {
      notes_.fingerprints_[path_] = fingerprint_.text();
    } else if (notes_.private_keys_.size() < api::kMaxPrivateKeys && begins_as_private_key(beginning_)) {
      notes_.private_keys_.push_back(path_);
    }
  }

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    ASSIGN_OR_RETURN(const std::size_t size, content_->read(buffer));
    if (is_large_) {
      fingerprint_.add(buffer.data(), size);
    } else if (beginning_.size() < kKeyBeginsWithin) {
      beginning_.append(reinterpret_cast<const char*>(buffer.data()),
                        std::min(size, kKeyBeginsWithin - beginning_.size()));
    }
    return size;
  }

 private:
  LayerNotes& notes_;
  const std::string path_;
  const bool is_large_;
  std::unique_ptr<ByteSource> content_;
  Fingerprint fingerprint_;
  std::string beginning_;
};

std::unique_ptr<ByteSource> LayerNotes::watch(const archive::Node& node, std::unique_ptr<ByteSource> content) {
  const bool is_large = node.size_bytes >= lint::kFingerprintFromBytes;
  if (!is_large && node.size_bytes > kMaxKeyFileBytes) return content;
  return std::make_unique<Watched>(*this, node, std::move(content));
}

archive::TreeIndex LayerNotes::index_of(const LayerEntries& entries) const {
  archive::TreeIndex index;
  for (const auto& [path, entry] : entries) {
    archive::Node node = entry.node;
    node.xattrs.clear();
    node.content.reset();
    node.data_offset.reset();
    if (const auto found = fingerprints_.find(path); found != fingerprints_.end()) {
      node.xattrs.emplace(lint::kFingerprint, found->second);
    }
    index.put(std::move(node));
  }
  return index;
}

}  // namespace imagebuild::builder
