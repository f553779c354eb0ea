#include "archive/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstring>
#include <string_view>
#include <vector>

#include "archive/path.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 256 * 1024;
constexpr std::size_t kMaxNameBytes = 255;  // NAME_MAX: no file system of Linux takes a longer one.
constexpr std::array<std::byte, 64 * 1024> kZeros{};

struct FreeArchive {
  void operator()(::archive* reader) const { ::archive_read_free(reader); }
};

// Names are bytes. libarchive converts the names of pax headers to the locale's character set, and in a UTF-8 locale it
// even composes accents (NFC), so two names can become one. In the "C" locale it leaves what is not ASCII as it is and
// warns. This puts the calling thread, and no other, into that locale.
class PlainLocale {
 public:
  PlainLocale() {
    static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
    previous_ = ::uselocale(plain);
  }
  ~PlainLocale() { ::uselocale(previous_); }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  locale_t previous_;
};

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, what};
}

bool has_long_name(std::string_view path) {
  for (std::string_view part = take_part(path); !part.empty(); part = take_part(path)) {
    if (part.size() > kMaxNameBytes) return true;
  }
  return false;
}

}  // namespace

struct TarReader::State {
  explicit State(ByteSource& from, const ReadLimits& bounds) : source(from), limits(bounds), input(kInputBytes) {}

  static la_ssize_t feed(::archive* reader, void* self, const void** buffer);
  Error failure(const char* doing) const;
  // Reads what is behind the archive's end: a source that verifies what it gives does so at its own end.
  Status drain();
  Result<Node> node_of(::archive_entry* entry);
  Status take_names(::archive_entry* entry, Node& node) const;
  Status take_numbers(::archive_entry* entry, Node& node);
  Status take_xattrs(::archive_entry* entry, Node& node) const;
  Result<std::string> path_of(const char* raw) const;

  // The content of the current entry, holes filled with zeros, exactly as long as the header says.
  class Content final : public ByteSource {
   public:
    explicit Content(State& state) : state_(state) {}
    Result<std::size_t> read(std::span<std::byte> buffer) override;
    void start(std::uint64_t size) {
      size_ = size;
      done_ = block_at_ = 0;
      block_ = {};
      ended_ = false;
    }

   private:
    Status next_block();
    State& state_;
    std::uint64_t size_ = 0;
    std::uint64_t done_ = 0;
    std::span<const std::byte> block_;
    std::uint64_t block_at_ = 0;
    bool ended_ = false;
  };

  ByteSource& source;
  ReadLimits limits;
  std::vector<std::byte> input;
  std::size_t ready_bytes = 0;        // Read already, when the archive was opened.
  std::optional<Error> source_error;  // What the source failed with; libarchive only knows that it did.
  std::unique_ptr<::archive, FreeArchive> reader;
  std::uint64_t entries = 0;
  std::uint64_t content_bytes = 0;
  std::string last_path;
  bool ended = false;
  Content content{*this};
};

la_ssize_t TarReader::State::feed(::archive* reader, void* self, const void** buffer) {
  auto& state = *static_cast<State*>(self);
  *buffer = state.input.data();
  if (state.ready_bytes > 0) return static_cast<la_ssize_t>(std::exchange(state.ready_bytes, 0));
  Result<std::size_t> count = state.source.read(state.input);
  if (count.ok()) return static_cast<la_ssize_t>(*count);
  state.source_error = count.error();
  ::archive_set_error(reader, EIO, "the source failed");
  return ARCHIVE_FATAL;
}

Status TarReader::State::drain() {
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, source.read(input));
    if (count == 0) return ok();
  }
}

Error TarReader::State::failure(const char* doing) const {
  if (source_error) return *source_error;
  const char* text = ::archive_error_string(reader.get());
  std::string what = std::string("broken tar archive, ") + doing;
  if (!last_path.empty()) what += " '" + last_path + "'";
  return corrupt(what + ": " + (text == nullptr ? "unknown reason" : text));
}

Result<TarReader> TarReader::open(ByteSource& source, const ReadLimits& limits) {
  auto state = std::make_unique<State>(source, limits);
  ASSIGN_OR_RETURN(state->ready_bytes, source.read(state->input));
  state->ended = state->ready_bytes == 0;  // No byte at all is an archive without entries, as Go's tar has it.
  if (state->ended) return TarReader(std::move(state));
  state->reader.reset(::archive_read_new());
  if (!state->reader || ::archive_read_support_format_tar(state->reader.get()) != ARCHIVE_OK ||
      ::archive_read_open(state->reader.get(), state.get(), nullptr, &State::feed, nullptr) != ARCHIVE_OK) {
    return state->reader ? state->failure("at its beginning") : Error{ErrorCode::kInternal, "not enough memory"};
  }
  return TarReader(std::move(state));
}

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader& TarReader::operator=(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

ByteSource& TarReader::content() {
  return state_->content;
}

Result<std::optional<Node>> TarReader::next() {
  State& state = *state_;
  state.content.start(0);
  if (state.ended) return std::optional<Node>();
  const PlainLocale plain;
  ::archive_entry* entry = nullptr;
  const int result = ::archive_read_next_header(state.reader.get(), &entry);
  if (result == ARCHIVE_EOF) {
    if (state.source_error) return *state.source_error;
    state.ended = true;
    RETURN_IF_ERROR(state.drain());
    return std::optional<Node>();
  }
  if (result == ARCHIVE_WARN) {
    // The one harmless warning: the name is not ASCII. The bytes are kept.
    const char* text = ::archive_error_string(state.reader.get());
    if (text == nullptr || std::strstr(text, "can't be converted from") == nullptr) return state.failure("after");
  } else if (result != ARCHIVE_OK) {
    return state.failure("after");
  }
  if (++state.entries > state.limits.max_entries) {
    return Error{ErrorCode::kLimit,
                 "the archive has more than " + std::to_string(state.limits.max_entries) + " entries"};
  }
  ASSIGN_OR_RETURN(Node node, state.node_of(entry));
  state.last_path = node.path;
  state.content.start(node.size_bytes);
  return std::optional<Node>(std::move(node));
}

Result<Node> TarReader::State::node_of(::archive_entry* entry) {
  Node node;
  RETURN_IF_ERROR(take_names(entry, node));
  const std::string where = "'" + node.path + "'";
  RETURN_IF_ERROR(take_numbers(entry, node).in(where));
  RETURN_IF_ERROR(take_xattrs(entry, node).in(where));
  if (node.path.empty() && node.type != NodeType::kDirectory) return corrupt("an entry has no name");
  return node;
}

Result<std::string> TarReader::State::path_of(const char* raw) const {
  if (raw == nullptr) return corrupt("an entry has no name");
  const std::string_view text(raw);
  if (text.size() > limits.max_path_bytes) {
    return Error{ErrorCode::kLimit, "a path has more than " + std::to_string(limits.max_path_bytes) + " bytes: '" +
                                        std::string(text.substr(0, 60)) + "…'"};
  }
  ASSIGN_OR_RETURN(std::string path, clean_path(text).in("'" + std::string(text) + "'"));
  if (has_long_name(path)) {
    return Error{ErrorCode::kLimit,
                 "a name has more than " + std::to_string(kMaxNameBytes) + " bytes: '" + path.substr(0, 60) + "…'"};
  }
  if (path_depth(path) > limits.max_path_depth) {
    return Error{ErrorCode::kLimit, "a path has more than " + std::to_string(limits.max_path_depth) + " folders: '" +
                                        path.substr(0, 60) + "…'"};
  }
  return path;
}

Status TarReader::State::take_names(::archive_entry* entry, Node& node) const {
  ASSIGN_OR_RETURN(node.path, path_of(::archive_entry_pathname(entry)));
  const std::string where = "'" + node.path + "'";
  if (const char* target = ::archive_entry_hardlink(entry); target != nullptr) {
    node.type = NodeType::kHardlink;
    Result<std::string> link = path_of(target);
    if (!link.ok()) return link.error().in("the hard link " + where);
    node.link = std::move(link).value();
    if (node.link.empty()) return corrupt("the hard link " + where + " names no file");
    return ok();
  }
  switch (::archive_entry_filetype(entry)) {
    case AE_IFREG:
      node.type = NodeType::kFile;
      return ok();
    case AE_IFDIR:
      node.type = NodeType::kDirectory;
      return ok();
    case AE_IFCHR:
      node.type = NodeType::kCharDevice;
      return ok();
    case AE_IFBLK:
      node.type = NodeType::kBlockDevice;
      return ok();
    case AE_IFIFO:
      node.type = NodeType::kFifo;
      return ok();
    case AE_IFLNK:
      break;
    default:
      return corrupt(where + " is of an unknown type");
  }
  node.type = NodeType::kSymlink;
  const char* target = ::archive_entry_symlink(entry);
  if (target == nullptr || *target == '\0') return corrupt("the symlink " + where + " is empty");
  node.link = target;
  if (node.link.size() > limits.max_path_bytes) {
    return Error{ErrorCode::kLimit,
                 "the symlink " + where + " is longer than " + std::to_string(limits.max_path_bytes) + " bytes"};
  }
  return ok();
}

Status TarReader::State::take_numbers(::archive_entry* entry, Node& node) {
  node.mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & 07777U;
  node.mtime_s = ::archive_entry_mtime(entry);
  // The largest number is what chown(2) takes as "leave it".
  const la_int64_t uid = ::archive_entry_uid(entry);
  const la_int64_t gid = ::archive_entry_gid(entry);
  if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX) return corrupt("the owner is not a valid number");
  node.uid = static_cast<std::uint32_t>(uid);
  node.gid = static_cast<std::uint32_t>(gid);
  if (node.type == NodeType::kCharDevice || node.type == NodeType::kBlockDevice) {
    const dev_t device = ::archive_entry_rdev(entry);
    node.device_major = ::gnu_dev_major(device);
    node.device_minor = ::gnu_dev_minor(device);
  }
  if (node.type != NodeType::kFile) return ok();
  const la_int64_t size = ::archive_entry_size(entry);
  if (size < 0) return corrupt("the size is negative");
  node.size_bytes = static_cast<std::uint64_t>(size);
  if (node.size_bytes > limits.max_content_bytes - content_bytes) {
    return Error{ErrorCode::kLimit,
                 "the archive unpacks to more than " + std::to_string(limits.max_content_bytes) + " bytes"};
  }
  content_bytes += node.size_bytes;
  return ok();
}

Status TarReader::State::take_xattrs(::archive_entry* entry, Node& node) const {
  ::archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  std::uint64_t total = 0;
  while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || *name == '\0') return corrupt("an extended attribute has no name");
    total += std::strlen(name) + size;
    if (total > limits.max_xattr_bytes) {
      return Error{ErrorCode::kLimit,
                   "more than " + std::to_string(limits.max_xattr_bytes) + " bytes of extended attributes"};
    }
    node.xattrs[name] = size == 0 ? std::string() : std::string(static_cast<const char*>(value), size);
  }
  return ok();
}

Status TarReader::State::Content::next_block() {
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int result = ::archive_read_data_block(state_.reader.get(), &data, &size, &offset);
  if (result == ARCHIVE_EOF) {
    ended_ = true;
    return ok();
  }
  if (result != ARCHIVE_OK) return state_.failure("in the content of");
  const auto at = static_cast<std::uint64_t>(offset);
  if (offset < 0 || at < done_ || at > size_ || size > size_ - at) {
    return corrupt("broken tar archive: the content of '" + state_.last_path + "' does not fit its size");
  }
  block_ = {static_cast<const std::byte*>(data), size};
  block_at_ = at;
  return ok();
}

Result<std::size_t> TarReader::State::Content::read(std::span<std::byte> buffer) {
  if (done_ == size_) return std::size_t{0};
  while (block_.empty() && !ended_) RETURN_IF_ERROR(next_block());
  std::span<const std::byte> from = block_;
  const std::uint64_t hole = (ended_ ? size_ : block_at_) - done_;
  if (hole > 0) from = std::span(kZeros).first(static_cast<std::size_t>(std::min<std::uint64_t>(hole, kZeros.size())));
  const std::size_t count = std::min(buffer.size(), from.size());
  std::memcpy(buffer.data(), from.data(), count);
  done_ += count;
  if (hole == 0) {
    block_ = block_.subspan(count);
    block_at_ += count;
  }
  return count;
}

}  // namespace imagebuild::archive
