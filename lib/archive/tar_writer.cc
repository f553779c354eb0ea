#include "archive/tar_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <vector>

#include "archive/path.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kBlockBytes = 512;
constexpr std::size_t kNameBytes = 100;
constexpr std::size_t kPrefixBytes = 155;
constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::uint64_t kMaxOctal7 = 07777777;       // uid, gid and device numbers: 7 digits.
constexpr std::uint64_t kMaxOctal11 = 077777777777;  // size and mtime: 11 digits.
constexpr std::array<std::byte, 2 * kBlockBytes> kZeros{};

// The fields of a POSIX ustar header (IEEE 1003.1, pax, "ustar Interchange Format").
struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(Header) == kBlockBytes);

using PaxRecords = std::map<std::string, std::string>;

template <std::size_t size>
void put_octal(char (&field)[size], std::uint64_t value) {
  for (std::size_t i = size - 1; i-- > 0; value >>= 3) field[i] = static_cast<char>('0' + (value & 7));
  field[size - 1] = '\0';
}

template <std::size_t size>
void put_text(char (&field)[size], std::string_view text) {
  std::memcpy(field, text.data(), std::min(size, text.size()));
}

// The octal field, or, where it has no room, a pax record and a zero.
template <std::size_t size>
void put_number(char (&field)[size], std::uint64_t value, std::uint64_t max, const char* key, PaxRecords& pax) {
  if (value > max) pax[key] = std::to_string(value);
  put_octal(field, value > max ? 0 : value);
}

char type_flag(NodeType type) {
  switch (type) {
    case NodeType::kFile:
      return '0';
    case NodeType::kHardlink:
      return '1';
    case NodeType::kSymlink:
      return '2';
    case NodeType::kCharDevice:
      return '3';
    case NodeType::kBlockDevice:
      return '4';
    case NodeType::kDirectory:
      return '5';
    case NodeType::kFifo:
      return '6';
  }
  return '0';
}

void put_path(Header& header, const std::string& path, PaxRecords& pax) {
  if (path.size() <= kNameBytes) return put_text(header.name, path);
  // The first slash that leaves a name short enough; the prefix before it must fit too, and the name not be empty.
  const std::size_t slash = path.find('/', path.size() - kNameBytes - 1);
  if (slash != std::string::npos && slash > 0 && slash <= kPrefixBytes && slash + 1 < path.size()) {
    put_text(header.prefix, std::string_view(path).substr(0, slash));
    return put_text(header.name, std::string_view(path).substr(slash + 1));
  }
  pax["path"] = path;
  put_text(header.name, std::string_view(path).substr(0, kNameBytes));
}

void seal(Header& header) {
  put_text(header.magic, std::string_view("ustar\0", 6));
  put_text(header.version, "00");
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlockBytes; ++i) sum += bytes[i];
  for (std::size_t i = 6; i-- > 0; sum >>= 3) header.checksum[i] = static_cast<char>('0' + (sum & 7));
  header.checksum[6] = '\0';
}

// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + std::to_string(rest).size();
  length = rest + std::to_string(length).size();
  return std::to_string(length) + ' ' + key + '=' + value + '\n';
}

Status check(const Node& node) {
  if (!is_clean_path(node.path)) return Error{ErrorCode::kInternal, "the path is not in its clean form"};
  if (node.link.find('\0') != std::string::npos) return Error{ErrorCode::kInternal, "the link has a NUL byte"};
  if (node.device_major > kMaxOctal7 || node.device_minor > kMaxOctal7) {
    return Error{ErrorCode::kUnsupported, "the device number does not fit into a tar archive"};
  }
  const bool is_link = node.type == NodeType::kSymlink || node.type == NodeType::kHardlink;
  if (is_link && node.link.empty()) return Error{ErrorCode::kInternal, "the link is empty"};
  if (node.path.empty() && node.type != NodeType::kDirectory) {
    return Error{ErrorCode::kInternal, "the root must be a folder"};
  }
  for (const auto& [name, value] : node.xattrs) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      return Error{ErrorCode::kUnsupported, "the name of an extended attribute is empty or has '=' in it"};
    }
  }
  return ok();
}

Header make_header(const Node& node, PaxRecords& pax) {
  Header header{};
  std::string path = node.path;
  if (node.type == NodeType::kDirectory) path += node.path.empty() ? "./" : "/";
  put_path(header, path, pax);
  put_octal(header.mode, node.mode & 07777U);
  put_number(header.uid, node.uid, kMaxOctal7, "uid", pax);
  put_number(header.gid, node.gid, kMaxOctal7, "gid", pax);
  put_number(header.size, node.type == NodeType::kFile ? node.size_bytes : 0, kMaxOctal11, "size", pax);
  if (node.mtime_s < 0) pax["mtime"] = std::to_string(node.mtime_s);
  put_number(header.mtime, node.mtime_s < 0 ? 0 : static_cast<std::uint64_t>(node.mtime_s), kMaxOctal11, "mtime", pax);
  header.type = type_flag(node.type);
  if (node.type == NodeType::kSymlink || node.type == NodeType::kHardlink) {
    if (node.link.size() > kNameBytes) pax["linkpath"] = node.link;
    put_text(header.link, std::string_view(node.link).substr(0, kNameBytes));
  }
  const bool device = node.type == NodeType::kCharDevice || node.type == NodeType::kBlockDevice;
  put_octal(header.device_major, device ? node.device_major : 0);
  put_octal(header.device_minor, device ? node.device_minor : 0);
  for (const auto& [name, value] : node.xattrs) pax["SCHILY.xattr." + name] = value;
  seal(header);
  return header;
}

// The extended header that goes before the entry's own: it has no owner, time or name of the entry, only the records.
Header make_pax_header(std::size_t size) {
  Header header{};
  put_text(header.name, "PaxHeaders/entry");
  put_octal(header.mode, 0644);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, size);
  put_octal(header.mtime, 0);
  header.type = 'x';
  put_octal(header.device_major, 0);
  put_octal(header.device_minor, 0);
  seal(header);
  return header;
}

std::span<const std::byte> bytes_of(const Header& header) {
  return std::as_bytes(std::span(&header, 1));
}

std::span<const std::byte> padding_after(std::uint64_t size) {
  return std::span(kZeros).first(static_cast<std::size_t>((kBlockBytes - size % kBlockBytes) % kBlockBytes));
}

}  // namespace

Status TarWriter::put(std::span<const std::byte> bytes) {
  if (bytes.empty()) return ok();
  RETURN_IF_ERROR(sink_.write(bytes));
  offset_ += bytes.size();
  return ok();
}

Status TarWriter::add(const Node& node, ByteSource* content) {
  RETURN_IF_ERROR(check(node).in("'" + node.path + "'"));
  PaxRecords pax;
  const Header header = make_header(node, pax);
  if (!pax.empty()) {
    std::string records;
    for (const auto& [key, value] : pax) records += pax_record(key, value);
    RETURN_IF_ERROR(put(bytes_of(make_pax_header(records.size()))));
    RETURN_IF_ERROR(put(as_bytes(records)));
    RETURN_IF_ERROR(put(padding_after(records.size())));
  }
  RETURN_IF_ERROR(put(bytes_of(header)));
  last_content_offset_ = offset_;
  if (node.type != NodeType::kFile || node.size_bytes == 0) return ok();
  if (content == nullptr) return Error{ErrorCode::kCorrupt, "'" + node.path + "' has no content"};
  return put_content(node, *content);
}

Status TarWriter::put_content(const Node& node, ByteSource& content) {
  buffer_.resize(kPieceBytes);
  std::uint64_t left = node.size_bytes;
  while (true) {
    // Asks for one byte more than is expected, to notice content that is too long.
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), left == 0 ? 1 : left));
    ASSIGN_OR_RETURN(const std::size_t count, content.read(std::span(buffer_).first(wanted)));
    if (count > left || (count == 0 && left > 0)) {
      return Error{ErrorCode::kCorrupt, "'" + node.path + "' has " + (count == 0 ? "less" : "more") + " than the " +
                                            std::to_string(node.size_bytes) + " bytes that were announced"};
    }
    if (count == 0) break;
    RETURN_IF_ERROR(put(std::span(buffer_).first(count)));
    left -= count;
  }
  return put(padding_after(node.size_bytes));
}

Status TarWriter::finish() {
  return put(kZeros);
}

}  // namespace imagebuild::archive
