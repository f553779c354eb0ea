// TreeIndex on disk: a magic number, then varints and strings, each path sharing a prefix with the one before it, and
// a CRC-32 of everything before it at the end.
#include <zlib.h>

#include <algorithm>

#include "archive/path.h"
#include "archive/tree_index.h"
#include "base/file.h"

namespace imagebuild::archive {

namespace {

constexpr std::string_view kMagicBytes("IBTREE\0\1", 8);
constexpr std::size_t kCrcBytes = 4;
constexpr std::uint64_t kMaxFileBytes = 1ULL << 30;
constexpr std::uint64_t kMaxNodes = 4'000'000;
constexpr std::uint64_t kMaxNameBytes = 64 * 1024;
constexpr std::uint64_t kMaxValueBytes = 1ULL << 20;
constexpr std::uint64_t kMaxXattrs = 4096;

enum Flag : unsigned { kHasLink = 1, kHasDevice = 2, kHasXattrs = 4, kHasOffset = 8, kHasContent = 16 };
constexpr unsigned kAllFlags = 31;

std::uint32_t crc_of(std::string_view bytes) {
  uLong crc = ::crc32(0, nullptr, 0);
  crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  return static_cast<std::uint32_t>(crc);
}

class Encoder {
 public:
  void number(std::uint64_t value) {
    for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(static_cast<unsigned char>(value | 128)));
    out.push_back(static_cast<char>(value));
  }
  void text(std::string_view value) {
    number(value.size());
    out += value;
  }
  std::string out;
};

void encode(const Node& node, std::string_view previous_path, Encoder& to) {
  const auto differ = std::mismatch(node.path.begin(), node.path.end(), previous_path.begin(), previous_path.end());
  const auto shared = static_cast<std::size_t>(differ.first - node.path.begin());
  to.number(shared);
  to.text(std::string_view(node.path).substr(shared));
  to.number(static_cast<std::uint64_t>(node.type));
  const bool device = node.device_major != 0 || node.device_minor != 0;
  to.number((node.link.empty() ? 0U : kHasLink) | (device ? kHasDevice : 0U) | (node.xattrs.empty() ? 0U : kHasXattrs) |
            (node.data_offset ? kHasOffset : 0U) | (node.content ? kHasContent : 0U));
  to.number(node.mode);
  to.number(node.uid);
  to.number(node.gid);
  to.number(node.size_bytes);
  const auto seconds = static_cast<std::uint64_t>(node.mtime_s);
  to.number(node.mtime_s < 0 ? (~seconds << 1) | 1 : seconds << 1);
  if (!node.link.empty()) to.text(node.link);
  if (device) {
    to.number(node.device_major);
    to.number(node.device_minor);
  }
  if (!node.xattrs.empty()) {
    to.number(node.xattrs.size());
    for (const auto& [name, value] : node.xattrs) {
      to.text(name);
      to.text(value);
    }
  }
  if (node.data_offset) to.number(*node.data_offset);
  if (node.content) to.text(*node.content);
}

// Reads with every step checked; after the first wrong byte good() is false and every value is empty.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : left_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return left_.empty(); }

  std::uint64_t number(std::uint64_t max = UINT64_MAX) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; good_; shift += 7) {
      if (left_.empty() || shift > 63) break;
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 127U) << shift;
      if (byte < 128) {
        if (value > max) break;
        return value;
      }
    }
    good_ = false;
    return 0;
  }
  std::uint32_t number32() { return static_cast<std::uint32_t>(number(UINT32_MAX)); }
  std::string_view text(std::uint64_t max_bytes) {
    const std::uint64_t size = number(max_bytes);
    if (!good_ || size > left_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view value = left_.substr(0, static_cast<std::size_t>(size));
    left_.remove_prefix(value.size());
    return value;
  }
  void fail() { good_ = false; }

 private:
  std::string_view left_;
  bool good_ = true;
};

void decode_optional(Decoder& from, unsigned flags, Node& node) {
  if ((flags & kHasLink) != 0) node.link = from.text(kMaxNameBytes);
  if ((flags & kHasDevice) != 0) {
    node.device_major = from.number32();
    node.device_minor = from.number32();
  }
  if ((flags & kHasXattrs) != 0) {
    for (std::uint64_t left = from.number(kMaxXattrs); left > 0 && from.good(); --left) {
      std::string name(from.text(kMaxNameBytes));
      node.xattrs.insert_or_assign(std::move(name), std::string(from.text(kMaxValueBytes)));
    }
  }
  if ((flags & kHasOffset) != 0) node.data_offset = from.number();
  if ((flags & kHasContent) != 0) node.content = std::string(from.text(kMaxValueBytes));
}

bool decode(Decoder& from, std::string_view previous_path, Node& node) {
  const std::size_t shared = static_cast<std::size_t>(from.number(previous_path.size()));
  node.path = previous_path.substr(0, shared);
  node.path += from.text(kMaxNameBytes);
  node.type = static_cast<NodeType>(from.number(static_cast<std::uint64_t>(NodeType::kFifo)));
  const auto flags = static_cast<unsigned>(from.number(kAllFlags));
  node.mode = static_cast<std::uint32_t>(from.number(07777));
  node.uid = from.number32();
  node.gid = from.number32();
  node.size_bytes = from.number(INT64_MAX);
  const std::uint64_t zigzag = from.number();
  node.mtime_s = static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
  decode_optional(from, flags, node);
  if (node.path.size() > kMaxNameBytes || !is_clean_path(node.path)) from.fail();
  if (node.type == NodeType::kHardlink && (node.link.empty() || !is_clean_path(node.link))) from.fail();
  if (node.type != NodeType::kFile && node.size_bytes != 0) from.fail();
  return from.good();
}

Error broken(const std::filesystem::path& file) {
  return Error{ErrorCode::kCorrupt, "'" + file.string() + "' is not an intact tree index"};
}

}  // namespace

Status TreeIndex::save(const std::filesystem::path& file) const {
  Encoder encoder;
  encoder.out.reserve(nodes_.size() * 48 + 64);
  encoder.out += kMagicBytes;
  encoder.number(nodes_.size());
  std::string_view previous;
  for (const auto& [path, node] : nodes_) {
    encode(node, previous, encoder);
    previous = path;
  }
  const std::uint32_t crc = crc_of(encoder.out);
  for (unsigned shift = 0; shift < 32; shift += 8) {
    encoder.out.push_back(static_cast<char>(static_cast<unsigned char>((crc >> shift) & 255U)));
  }
  return write_file_atomically(file, encoder.out);
}

Result<TreeIndex> TreeIndex::load(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const std::string bytes, read_file(file, kMaxFileBytes));
  std::string_view body = bytes;
  if (body.size() < kMagicBytes.size() + kCrcBytes || !body.starts_with(kMagicBytes)) return broken(file);
  std::uint32_t crc = 0;
  for (unsigned i = 0; i < kCrcBytes; ++i) {
    crc |= static_cast<std::uint32_t>(static_cast<unsigned char>(body[body.size() - kCrcBytes + i])) << (8 * i);
  }
  body.remove_suffix(kCrcBytes);
  if (crc != crc_of(body)) return broken(file);

  Decoder decoder(body.substr(kMagicBytes.size()));
  const std::uint64_t count = decoder.number();
  if (count > kMaxNodes) {
    return Error{ErrorCode::kLimit, "'" + file.string() + "' lists more than " + std::to_string(kMaxNodes) + " files"};
  }
  TreeIndex index;
  std::string previous;
  for (std::uint64_t i = 0; i < count; ++i) {
    Node node;
    if (!decode(decoder, previous, node)) return broken(file);
    if (i > 0 && !PathOrder{}(previous, node.path)) return broken(file);
    previous = node.path;
    index.nodes_.emplace_hint(index.nodes_.end(), previous, std::move(node));
  }
  if (!decoder.good() || !decoder.at_end()) return broken(file);
  return index;
}

}  // namespace imagebuild::archive
