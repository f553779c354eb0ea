#include "builder/cache/content_memo.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "archive/rooted_path.h"
#include "base/file.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic("IBMEMO\0\1", 8);  // The last byte is the format's version.
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kBufferBytes = 128 * 1024;

using RawHash = std::array<unsigned char, kHashBytes>;

// What a file begins with. Numbers are as this machine has them: nobody else reads the file.
struct Header {
  std::array<char, 8> magic{};
  RawHash origin{};
  std::int64_t newest_ns = 0;
  std::uint64_t count = 0;
};
static_assert(sizeof(Header) == 56);

unsigned digit(char c) {
  return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
}

RawHash raw_of(const oci::Digest& digest) {
  RawHash raw{};
  const std::string_view hex = digest.hex();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    raw[i] = static_cast<unsigned char>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  }
  return raw;
}

Result<oci::Digest> digest_from(const RawHash& raw) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "sha256:";
  text.reserve(text.size() + 2 * raw.size());
  for (const unsigned char byte : raw) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return oci::Digest::parse(text);
}

// Local file systems that take change times from this machine's clock, also when a mapped file is written to.
bool keeps_change_times(int fd) {
  struct statfs stat {};
  if (::fstatfs(fd, &stat) != 0) return false;
  constexpr std::array<long, 4> kKnown{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
  return std::ranges::find(kKnown, static_cast<long>(stat.f_type)) != kKnown.end();
}

Error changed(const std::string& path) {
  return Error{ErrorCode::kInvalidInput, "'" + path + "' changed since it was listed; build again when it is at rest"};
}

Result<oci::Digest> hash(int fd, const archive::Node& file) {
  thread_local std::vector<std::byte> buffer(kBufferBytes);  // One for all files: most are small.
  oci::Hasher hasher;
  for (std::uint64_t at = 0; at < file.size_bytes;) {
    const std::uint64_t wanted = std::min<std::uint64_t>(buffer.size(), file.size_bytes - at);
    const ssize_t count = ::pread(fd, buffer.data(), static_cast<std::size_t>(wanted), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("cannot read '" + file.path + "'", errno);
    if (count == 0) return changed(file.path);
    hasher.update(std::span(buffer).first(static_cast<std::size_t>(count)));
    at += static_cast<std::uint64_t>(count);
  }
  return hasher.finish();
}

// Those used last stay.
void trim(const fs::path& folder, std::size_t most) {
  std::vector<std::pair<fs::file_time_type, fs::path>> memos;
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(folder, error)) {
    memos.emplace_back(it.last_write_time(error), it.path());
  }
  if (memos.size() <= most) return;
  std::ranges::sort(memos, std::greater<>());
  for (auto it = memos.begin() + static_cast<std::ptrdiff_t>(most); it != memos.end(); ++it) {
    fs::remove(it->second, error);
  }
}

}  // namespace

Result<std::unique_ptr<ContentMemo>> ContentMemo::open(ContentMemoSettings settings) {
  ASSIGN_OR_RETURN(UniqueFd folder, open_file(settings.folder, O_RDONLY | O_DIRECTORY));
  struct stat stat {};
  if (::fstat(folder.get(), &stat) != 0) return system_error(settings.folder.string(), errno);
  std::unique_ptr<ContentMemo> memo(new ContentMemo(std::move(settings), std::move(folder)));
  memo->device_ = stat.st_dev;
  memo->is_trusted_ = memo->settings_.trusts_any_file_system || keeps_change_times(memo->folder_.get());
  if (memo->is_trusted_ && !memo->settings_.file.empty()) memo->load();
  return memo;
}

ContentMemo::Version ContentMemo::version_of(const archive::FileVersion& seen) {
  return {seen.inode, seen.size_bytes, seen.modified_ns, seen.changed_ns};
}

std::int64_t ContentMemo::now_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(settings_.now().time_since_epoch()).count();
}

// Which machine's folder this is: inodes say nothing anywhere else.
std::string ContentMemo::origin() const {
  constexpr std::uint64_t kMaxIdBytes = 4096;
  const Result<std::string> machine = read_file("/etc/machine-id", kMaxIdBytes);
  return (machine.ok() ? *machine : std::string()) + "\n" + settings_.folder.string() + "\n" + std::to_string(device_);
}

void ContentMemo::load() {
  constexpr std::uint64_t kMaxBytes = sizeof(Header) + kMostFiles * sizeof(Entry) + kHashBytes;
  const Result<std::string> read = read_file(settings_.file, kMaxBytes);
  if (!read.ok() || read->size() < sizeof(Header) + kHashBytes) return;
  const std::string_view bytes(read->data(), read->size() - kHashBytes);
  const RawHash hash = raw_of(oci::Digest::of(bytes));
  if (std::memcmp(hash.data(), bytes.data() + bytes.size(), kHashBytes) != 0) return;
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::string_view rest = bytes.substr(sizeof header);
  const bool fits = header.count <= kMostFiles && rest.size() == header.count * sizeof(Entry);
  if (std::string_view(header.magic.data(), header.magic.size()) != kMagic || !fits) return;
  // Who set the clock back may give a file a change time that it had before.
  if (header.origin != raw_of(oci::Digest::of(origin())) || header.newest_ns > now_ns()) return;
  std::vector<Entry> entries(static_cast<std::size_t>(header.count));
  if (!entries.empty()) std::memcpy(entries.data(), rest.data(), rest.size());
  const auto is_not_before = [](const Entry& a, const Entry& b) { return a.version.inode >= b.version.inode; };
  if (std::ranges::adjacent_find(entries, is_not_before) != entries.end()) return;
  loaded_ = std::move(entries);
  used_.assign(loaded_.size(), false);
  newest_ns_ = header.newest_ns;
}

ContentMemo::Entry* ContentMemo::find_loaded(std::uint64_t inode) {
  const auto at = std::ranges::lower_bound(loaded_, inode, {}, [](const Entry& entry) { return entry.version.inode; });
  return at != loaded_.end() && at->version.inode == inode ? &*at : nullptr;
}

std::optional<oci::Digest> ContentMemo::known(const archive::FileVersion& seen) {
  if (!is_trusted_ || seen.device != device_) return std::nullopt;
  const std::int64_t now = now_ns();
  const std::lock_guard lock(mutex_);
  if (now < newest_ns_) {  // The clock was set back.
    loaded_.clear();
    used_.clear();
    fresh_.clear();
    newest_ns_ = 0;
    return std::nullopt;
  }
  const Entry* entry = nullptr;
  if (const auto fresh = fresh_.find(seen.inode); fresh != fresh_.end()) {
    entry = &fresh->second;
  } else {
    entry = find_loaded(seen.inode);
  }
  if (entry == nullptr || entry->version != version_of(seen)) return std::nullopt;
  if (!loaded_.empty() && entry >= loaded_.data() && entry < loaded_.data() + loaded_.size()) {
    used_[static_cast<std::size_t>(entry - loaded_.data())] = true;
  }
  const Result<oci::Digest> digest = digest_from(entry->content);
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

void ContentMemo::note(const archive::FileVersion& seen, const oci::Digest& digest, std::int64_t read_from_ns) {
  const Version version = version_of(seen);
  const std::int64_t settled_ns = std::chrono::nanoseconds(kSettled).count();
  const bool is_settled = version.changed_ns <= read_from_ns - settled_ns;
  const std::lock_guard lock(mutex_);
  ++files_read_;
  if (!is_trusted_ || seen.device != device_ || !is_settled) return;
  if (fresh_.size() + loaded_.size() >= kMostFiles && find_loaded(version.inode) == nullptr) return;
  fresh_[version.inode] = Entry{version, raw_of(digest)};
  newest_ns_ = std::max(newest_ns_, read_from_ns);
}

Result<oci::Digest> ContentMemo::read(const archive::Node& file) {
  const std::int64_t read_from_ns = now_ns();
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   archive::open_beneath(folder_.get(), file.path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat before {};
  if (::fstat(fd.get(), &before) != 0) return system_error("'" + file.path + "'", errno);
  if (!S_ISREG(before.st_mode) || static_cast<std::uint64_t>(before.st_size) != file.size_bytes) {
    return changed(file.path);
  }
  ASSIGN_OR_RETURN(oci::Digest digest, hash(fd.get(), file));
  struct stat after {};
  if (::fstat(fd.get(), &after) != 0) return system_error("'" + file.path + "'", errno);
  if (static_cast<std::uint64_t>(after.st_size) != file.size_bytes) return changed(file.path);
  const archive::FileVersion version = archive::FileVersion::of(before);
  if (version == archive::FileVersion::of(after)) note(version, digest, read_from_ns);
  return digest;
}

Result<oci::Digest> ContentMemo::digest_of(const archive::Node& file) {
  struct stat stat {};
  // Where a link was put on the way, this is another file, known by its own inode.
  if (::fstatat(folder_.get(), file.path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode) &&
      static_cast<std::uint64_t>(stat.st_size) == file.size_bytes) {
    if (std::optional<oci::Digest> digest = known(archive::FileVersion::of(stat))) return std::move(*digest);
  }
  return read(file);
}

Result<oci::Digest> ContentMemo::digest_of(const archive::Node& file, const archive::FileVersion& listed) {
  if (listed.size_bytes == file.size_bytes) {
    if (std::optional<oci::Digest> digest = known(listed)) return std::move(*digest);
  }
  return digest_of(file);
}

Status ContentMemo::save() {
  const std::lock_guard lock(mutex_);
  if (settings_.file.empty() || !is_trusted_) return ok();
  const auto used = static_cast<std::size_t>(std::ranges::count(used_, true)) + fresh_.size();
  const bool keeps_unused = used == 0 || loaded_.size() <= 2 * used;
  if (fresh_.empty() && keeps_unused) {
    ::utimensat(AT_FDCWD, settings_.file.c_str(), nullptr, 0);  // Used now: the last to be removed.
    return ok();
  }
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < loaded_.size(); ++i) {
    if ((used_[i] || keeps_unused) && !fresh_.contains(loaded_[i].version.inode)) entries.push_back(loaded_[i]);
  }
  for (const auto& [inode, entry] : fresh_) entries.push_back(entry);
  std::ranges::sort(entries, {}, [](const Entry& entry) { return entry.version.inode; });
  Header header{{}, raw_of(oci::Digest::of(origin())), newest_ns_, entries.size()};
  std::ranges::copy(kMagic, header.magic.begin());
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  const RawHash hash = raw_of(oci::Digest::of(bytes));
  bytes.append(reinterpret_cast<const char*>(hash.data()), hash.size());
  std::error_code error;
  fs::create_directories(settings_.file.parent_path(), error);
  RETURN_IF_ERROR(write_file_atomically(settings_.file, bytes, 0600));
  trim(settings_.file.parent_path(), kMostMemos);
  return ok();
}

std::size_t ContentMemo::files_read() const {
  const std::lock_guard lock(mutex_);
  return files_read_;
}

}  // namespace imagebuild::builder
