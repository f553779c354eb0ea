// Finds the members of a tar by reading its headers only: a layer of many gigabytes costs one seek. Takes ustar, pax
// (path, linkpath, size) and GNU's long names and base-256 sizes, which is what Docker, Podman, Skopeo and Go write.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "archive/compress.h"
#include "base/file.h"
#include "oci/member_files.h"

namespace imagebuild::oci {

namespace {

constexpr std::uint64_t kBlock = 512;
constexpr std::uint64_t kMaxExtensionBytes = 1U << 20;  // A pax header or long name.
constexpr std::size_t kMaxMembers = 200'000;
constexpr int kMaxLinks = 8;

using Block = std::array<char, kBlock>;

Error corrupt(std::string message) {
  return Error{ErrorCode::kCorrupt, std::move(message)};
}

struct Entry {
  std::uint64_t offset = 0, size_bytes = 0;
  bool is_file = false;
  bool is_hard_link = false;
  std::string link;  // The target of a symlink or hard link.
};

// What a pax or GNU extension says about the entry after it.
struct Overrides {
  std::optional<std::string> path, link;
  std::optional<std::uint64_t> size_bytes;
};

std::string text_field(const Block& block, std::size_t at, std::size_t length) {
  return std::string(block.data() + at, ::strnlen(block.data() + at, length));
}

// Octal digits between spaces, or a big-endian number when the top bit of the first byte is set.
std::optional<std::uint64_t> number_field(const Block& block, std::size_t at, std::size_t length) {
  std::uint64_t value = 0;
  if ((static_cast<unsigned char>(block[at]) & 0x80U) != 0) {
    if (static_cast<unsigned char>(block[at]) != 0x80U) return std::nullopt;  // Negative, or beyond any file.
    for (std::size_t i = at + 1; i < at + length; ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(block[i]);
    }
    return value;
  }
  std::size_t i = at;
  while (i < at + length && block[i] == ' ') ++i;
  for (; i < at + length && block[i] >= '0' && block[i] <= '7'; ++i)
    value = value << 3 | static_cast<std::uint64_t>(block[i] - '0');
  const bool ended = i == at + length || block[i] == ' ' || block[i] == '\0';
  return ended ? std::optional(value) : std::nullopt;
}

bool checksum_holds(const Block& block) {
  constexpr std::size_t kAt = 148, kLength = 8;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool inside = i >= kAt && i < kAt + kLength;
    sum += inside ? std::uint64_t{' '} : static_cast<unsigned char>(block[i]);
  }
  return number_field(block, kAt, kLength) == sum;
}

// "./a//b/" → "a/b"; ".." stays and is never found.
std::string cleaned(std::string_view path) {
  std::string result;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") {
      if (!result.empty()) result += '/';
      result += part;
    }
    begin = end + 1;
  }
  return result;
}

// Where a symlink at `path` leads inside the archive; nothing when that is outside.
std::optional<std::string> link_target(const std::string& path, const std::string& link) {
  std::string result =
      link.starts_with('/') || path.find('/') == std::string::npos ? "" : path.substr(0, path.rfind('/'));
  const std::string steps = cleaned(link);
  for (std::size_t begin = 0; begin < steps.size();) {
    const std::size_t end = std::min(steps.find('/', begin), steps.size());
    const std::string part = steps.substr(begin, end - begin);
    begin = end + 1;
    if (part == "..") {
      if (result.empty()) return std::nullopt;
      const std::size_t slash = result.rfind('/');
      result.erase(slash == std::string::npos ? 0 : slash);
    } else {
      result += (result.empty() ? "" : "/") + part;
    }
  }
  return result;
}

// "30 path=…\n" records.
Status read_pax(std::string_view records, Overrides& overrides) {
  while (!records.empty()) {
    std::size_t length = 0, digits = 0;
    while (digits < records.size() && digits < 8 && records[digits] >= '0' && records[digits] <= '9') {
      length = length * 10 + static_cast<std::size_t>(records[digits++] - '0');
    }
    const bool whole = digits > 0 && length > digits + 1 && length <= records.size() && records[digits] == ' ' &&
                       records[length - 1] == '\n';
    if (!whole) return corrupt("a pax header of it is broken");
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return corrupt("a pax header of it is broken");
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") overrides.path = value;
    if (key == "linkpath") overrides.link = value;
    if (key.starts_with("GNU.sparse."))
      return Error{ErrorCode::kUnsupported, "it has sparse members; write it with another tool"};
    if (key == "size") {
      std::uint64_t size = 0;
      for (const char c : value) {
        if (c < '0' || c > '9' || size >> 58 != 0) return corrupt("a pax header of it has a wrong size");
        size = size * 10 + static_cast<std::uint64_t>(c - '0');
      }
      overrides.size_bytes = size;
    }
  }
  return ok();
}

class TarMembers final : public MemberFiles {
 public:
  TarMembers(UniqueFd file, std::uint64_t file_bytes) : file_(std::move(file)), file_bytes_(file_bytes) {}

  Status scan() {
    Overrides overrides;
    std::uint64_t at = 0;
    while (at + kBlock <= file_bytes_) {
      Block block{};
      RETURN_IF_ERROR(read_at(at, block.data(), kBlock));
      if (block[0] == '\0' && std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; })) return ok();
      if (!checksum_holds(block)) return not_a_tar(at, block);
      if (entries_.size() >= kMaxMembers)
        return Error{ErrorCode::kLimit, "it has more than " + std::to_string(kMaxMembers) + " members"};
      ASSIGN_OR_RETURN(at, take(block, at + kBlock, overrides));
    }
    return ok();
  }

  Result<Member> open(const std::string& path) const override {
    std::string name = cleaned(path);
    for (int hops = 0; hops <= kMaxLinks; ++hops) {
      const auto found = entries_.find(name);
      if (found == entries_.end()) break;
      const Entry& entry = found->second;
      if (entry.is_file) return member(entry, path);
      if (entry.link.empty()) break;
      const auto target = entry.is_hard_link ? cleaned(entry.link) : link_target(name, entry.link);
      if (!target) break;
      name = *target;
    }
    return Error{ErrorCode::kNotFound, "the archive has no file " + path};
  }

 private:
  // Records the entry whose header this is and whose content begins at `content`; returns where the next header is.
  Result<std::uint64_t> take(const Block& block, std::uint64_t content, Overrides& overrides) {
    const char type = block[156];
    const auto written_size = number_field(block, 124, 12);
    if (!written_size) return corrupt("a header of it has a wrong size");
    const bool extension = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    const std::uint64_t size = extension ? *written_size : overrides.size_bytes.value_or(*written_size);
    const bool has_content = extension || type == '0' || type == '\0' || type == '7' || type == 'S' ||
                             (type != '1' && type != '2' && type != '5');
    const std::uint64_t stored = has_content ? size : 0;
    if (stored > file_bytes_ - content) return corrupt("it is cut short");
    const std::uint64_t next = content + (stored + kBlock - 1) / kBlock * kBlock;
    if (extension) {
      RETURN_IF_ERROR(take_extension(type, content, size, overrides));
      return next;
    }
    if (type == 'S') return Error{ErrorCode::kUnsupported, "it has sparse members; write it with another tool"};
    Entry entry{.offset = content,
                .size_bytes = size,
                .is_file = type == '0' || type == '\0' || type == '7',
                .is_hard_link = type == '1'};
    std::string name = text_field(block, 0, 100);
    const std::string prefix = std::memcmp(block.data() + 257, "ustar\0", 6) == 0 ? text_field(block, 345, 155) : "";
    if (!prefix.empty()) name = prefix + "/" + name;
    if (overrides.path) name = std::move(*overrides.path);
    if (type == '1' || type == '2')
      entry.link = overrides.link ? std::move(*overrides.link) : text_field(block, 157, 100);
    overrides = {};
    entries_.insert_or_assign(cleaned(name), std::move(entry));  // The last of a name counts, as when unpacking.
    return next;
  }

  Status take_extension(char type, std::uint64_t content, std::uint64_t size, Overrides& overrides) {
    if (size > kMaxExtensionBytes) return Error{ErrorCode::kLimit, "a header of it is too large"};
    std::string text(size, '\0');
    RETURN_IF_ERROR(read_at(content, text.data(), size));
    if (type == 'x') return read_pax(text, overrides);
    if (type == 'g') return ok();  // Comments, such as git's commit id.
    text.resize(::strnlen(text.data(), text.size()));
    (type == 'L' ? overrides.path : overrides.link) = std::move(text);
    return ok();
  }

  Result<Member> member(const Entry& entry, const std::string& path) const {
    UniqueFd fd(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd.valid()) return system_error(path, errno);
    return Member{std::make_unique<FileSource>(std::move(fd), entry.offset, entry.size_bytes), entry.size_bytes};
  }

  static Error not_a_tar(std::uint64_t at, const Block& block) {
    if (at != 0) return corrupt("a header of it is broken");
    const auto first = std::as_bytes(std::span(block));
    if (archive::detect_compression(first) != archive::Compression::kNone) {
      return Error{ErrorCode::kUnsupported, "it is compressed; unpack it first (gunzip or unzstd)"};
    }
    return Error{ErrorCode::kInvalidInput, "it is not a tar archive"};
  }

  Status read_at(std::uint64_t at, char* data, std::size_t size) const {
    while (size > 0) {
      const ssize_t count = ::pread(file_.get(), data, size, static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("read", errno);
      if (count == 0) return corrupt("it is cut short");
      data += count;
      at += static_cast<std::uint64_t>(count);
      size -= static_cast<std::size_t>(count);
    }
    return ok();
  }

  UniqueFd file_;
  std::uint64_t file_bytes_;
  std::map<std::string, Entry> entries_;
};

}  // namespace

Result<std::unique_ptr<MemberFiles>> open_tar_members(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(UniqueFd file, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error(path.string(), errno);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kInvalidInput, path.string() + " is not a file"};
  if (status.st_size == 0) return Error{ErrorCode::kInvalidInput, path.string() + " is empty"};
  auto members = std::make_unique<TarMembers>(std::move(file), static_cast<std::uint64_t>(status.st_size));
  RETURN_IF_ERROR(members->scan().in(path.string()));
  return std::unique_ptr<MemberFiles>(std::move(members));
}

}  // namespace imagebuild::oci
