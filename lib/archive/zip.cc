#include "archive/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstring>
#include <memory>
#include <string>

#include "archive/path.h"
#include "archive/tar_writer.h"
#include "base/file.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 256 * 1024;
constexpr std::size_t kMaxNameBytes = 255;
constexpr std::uint32_t kPermissionBits = 07777;

struct FreeArchive {
  void operator()(::archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<::archive, FreeArchive>;

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, "broken zip archive: " + what};
}

Error failure(::archive* reader) {
  const char* text = ::archive_error_string(reader);
  return corrupt(text == nullptr ? "unknown reason" : text);
}

// The content of the entry that was read last. The checksum is looked at when its end is read.
class Content final : public ByteSource {
 public:
  explicit Content(::archive* reader) : reader_(reader) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    const la_ssize_t count = ::archive_read_data(reader_, buffer.data(), buffer.size());
    if (count < 0) return failure(reader_);
    return static_cast<std::size_t>(count);
  }

 private:
  ::archive* reader_;
};

// libarchive turns names that are marked as UTF-8 into the locale's character set and drops those that do not fit. This
// puts the calling thread, and no other, into a UTF-8 locale, where there is one.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t utf8 = ::newlocale(LC_ALL_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) previous_ = ::uselocale(utf8);
  }
  ~Utf8Locale() {
    if (previous_ != nullptr) ::uselocale(previous_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t previous_ = nullptr;
};

class ZipToTar {
 public:
  ZipToTar(::archive* reader, ByteSink& tar, const ReadLimits& limits)
      : reader_(reader), writer_(tar), limits_(limits) {}

  Status run() {
    while (true) {
      ::archive_entry* entry = nullptr;
      const int result = ::archive_read_next_header(reader_, &entry);
      if (result == ARCHIVE_EOF) return writer_.finish();
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return failure(reader_);
      if (++entries_ > limits_.max_entries) {
        return Error{ErrorCode::kLimit,
                     "the archive has more than " + std::to_string(limits_.max_entries) + " entries"};
      }
      RETURN_IF_ERROR(add(entry));
    }
  }

 private:
  Status add(::archive_entry* entry) {
    ASSIGN_OR_RETURN(Node node, node_of(entry));
    if (node.path.empty()) return ok();
    const std::string where = "'" + node.path + "'";
    if (::archive_entry_is_encrypted(entry) != 0) {
      return Error{ErrorCode::kUnsupported, where + " is encrypted, which is not supported"};
    }
    Content content(reader_);
    RETURN_IF_ERROR(writer_.add(node, node.type == NodeType::kFile ? &content : nullptr).in(where));
    if (node.type != NodeType::kFile) return ok();
    std::array<std::byte, 1> more{};
    ASSIGN_OR_RETURN(const std::size_t count, content.read(more));
    return count == 0 ? ok() : Status(corrupt(where + " is longer than it says"));
  }

  Result<std::string> path_of(const char* raw) const {
    if (raw == nullptr) {
      return Error{ErrorCode::kUnsupported,
                   "a name in the zip archive cannot be read, perhaps because this machine has no locale C.UTF-8; use "
                   "ASCII names or a tar archive"};
    }
    const std::string_view text(raw);
    if (text.size() > limits_.max_path_bytes) {
      return Error{ErrorCode::kLimit, "a path has more than " + std::to_string(limits_.max_path_bytes) + " bytes"};
    }
    ASSIGN_OR_RETURN(std::string path, clean_path(text).in("'" + std::string(text) + "'"));
    std::string_view rest = path;
    for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
      if (part.size() > kMaxNameBytes) return Error{ErrorCode::kLimit, "a name has more than 255 bytes"};
    }
    if (path_depth(path) > limits_.max_path_depth) {
      return Error{ErrorCode::kLimit, "a path has more than " + std::to_string(limits_.max_path_depth) + " folders"};
    }
    return path;
  }

  Result<Node> node_of(::archive_entry* entry) {
    Node node;
    ASSIGN_OR_RETURN(node.path, path_of(::archive_entry_pathname(entry)));
    node.mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & kPermissionBits;
    node.mtime_s = std::max<std::int64_t>(::archive_entry_mtime(entry), 0);
    const std::string where = "'" + node.path + "'";
    switch (::archive_entry_filetype(entry)) {
      case AE_IFDIR:
        node.type = NodeType::kDirectory;
        if (node.mode == 0) node.mode = 0755;
        return node;
      case AE_IFLNK: {
        const char* target = ::archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0') return corrupt("the symlink " + where + " is empty");
        node.type = NodeType::kSymlink;
        node.link = target;
        if (node.link.size() > limits_.max_path_bytes) return corrupt("the symlink " + where + " is too long");
        return node;
      }
      case AE_IFREG:
        break;
      default:
        return corrupt(where + " is of an unknown type");
    }
    if (node.mode == 0) node.mode = 0644;
    const la_int64_t size = ::archive_entry_size(entry);
    if (::archive_entry_size_is_set(entry) == 0 || size < 0) return corrupt(where + " has no size");
    node.size_bytes = static_cast<std::uint64_t>(size);
    if (node.size_bytes > limits_.max_content_bytes - content_bytes_) {
      return Error{ErrorCode::kLimit,
                   "the archive unpacks to more than " + std::to_string(limits_.max_content_bytes) + " bytes"};
    }
    content_bytes_ += node.size_bytes;
    return node;
  }

  ::archive* reader_;
  TarWriter writer_;
  const ReadLimits& limits_;
  std::uint64_t entries_ = 0;
  std::uint64_t content_bytes_ = 0;
};

}  // namespace

Result<bool> is_zip(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(file, O_RDONLY));
  FileSource source(std::move(fd), 0, 4);
  ASSIGN_OR_RETURN(const std::string first, read_all(source, 4));
  // Of an entry, or of the end of an archive without any.
  return first == std::string_view("PK\3\4", 4) || first == std::string_view("PK\5\6", 4);
}

Status zip_to_tar(const std::filesystem::path& file, ByteSink& tar, const ReadLimits& limits) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(file, O_RDONLY));
  const Reader reader(::archive_read_new());
  if (!reader) return Error{ErrorCode::kInternal, "not enough memory"};
  if (::archive_read_support_format_zip_seekable(reader.get()) != ARCHIVE_OK ||
      ::archive_read_open_fd(reader.get(), fd.get(), kInputBytes) != ARCHIVE_OK) {
    return failure(reader.get());
  }
  const Utf8Locale utf8;
  return ZipToTar(reader.get(), tar, limits).run();
}

}  // namespace imagebuild::archive
