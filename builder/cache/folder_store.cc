#include "builder/cache/folder_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>
#include <tuple>

#include "base/file.h"
#include "base/stream.h"
#include "builder/cache/retention.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxRecordBytes = 2 * CacheRecord::kMaxContentBytes;

// A blob whose modification time ends in this was verified then, or written by us: whoever writes to it afterwards
// takes the mark away. (Linking and unlinking leave the time as it is.) A file system that keeps no such fine times
// keeps no mark either, and its blobs are verified each time.
constexpr long kVerifiedNanoseconds = 731'597'300;

void mark_verified(const fs::path& blob) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const timespec times[2] = {{0, UTIME_OMIT}, {now.tv_sec, kVerifiedNanoseconds}};
  ::utimensat(AT_FDCWD, blob.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

Error stopped() {
  return Error{ErrorCode::kCancelled, "stopped"};
}

std::string_view hex_of(const std::string& digest) {
  return std::string_view(digest).substr(std::string_view("sha256:").size());
}

// Reads all of a file, which must be what `file` says.
Status copy_verified(const fs::path& from, const CachedFile& file, ByteSink& out, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(from, O_RDONLY));
  ASSIGN_OR_RETURN(const oci::Digest digest, oci::Digest::parse(file.digest));
  const auto source = oci::verified(std::make_unique<FileSource>(std::move(fd)), digest, file.size_bytes);
  std::vector<std::byte> buffer(256 * 1024);
  while (true) {
    if (stop.stop_requested()) return stopped();
    ASSIGN_OR_RETURN(const std::size_t count, source->read(buffer));
    if (count == 0) return ok();
    RETURN_IF_ERROR(out.write(std::span(buffer).first(count)));
  }
}

class NoSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return ok(); }
};

// A copy of `from` appears at `to` at once and whole.
Status copy_file(const fs::path& from, const CachedFile& file, const fs::path& to, const fs::path& tmp_folder,
                 const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const TempDir tmp, TempDir::create("copy-", tmp_folder));
  const fs::path part = tmp.path() / "part";
  {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(part, O_WRONLY | O_CREAT | O_EXCL));
    FileSink sink(std::move(fd));
    RETURN_IF_ERROR(copy_verified(from, file, sink, stop));
  }
  std::error_code error;
  fs::rename(part, to, error);
  if (error) return system_error(to.string(), error.value());
  return ok();
}

bool is_key(std::string_view name) {
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct KeptRecord {
  fs::path path;
  std::int64_t used_s = 0;
  std::uint64_t size_bytes = 0;  // Of the record itself.
  CacheRecord record;            // Without its content; without a title it is none.
};

std::vector<KeptRecord> read_records(const fs::path& folder) {
  std::vector<KeptRecord> records;
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(folder, error)) {
    struct stat stat {};
    if (::stat(it.path().c_str(), &stat) != 0) continue;
    KeptRecord kept{it.path(), stat.st_mtim.tv_sec, static_cast<std::uint64_t>(stat.st_size), {}};
    if (is_key(it.path().filename().string())) {
      if (const Result<std::string> text = read_file(it.path(), kMaxRecordBytes); text.ok()) {
        if (Result<CacheRecord> record = CacheRecord::parse(*text); record.ok()) kept.record = std::move(*record);
      }
    }
    kept.record.content = {};
    records.push_back(std::move(kept));
  }
  // The last used one first.
  std::ranges::sort(records, [](const KeptRecord& a, const KeptRecord& b) {
    return std::tie(b.used_s, a.path) < std::tie(a.used_s, b.path);
  });
  return records;
}

}  // namespace

Result<FolderStore> FolderStore::open(FolderStoreSettings settings) {
  for (const char* name : {"records", "outlines", "blobs", "tmp"}) {
    std::error_code error;
    fs::create_directories(settings.folder / name, error);
    if (error) return system_error("the cache folder " + (settings.folder / name).string(), error.value());
  }
  return FolderStore(std::move(settings));
}

fs::path FolderStore::blob_path(std::string_view digest) const {
  return settings_.folder / "blobs" / hex_of(std::string(digest));
}

Result<UniqueFd> FolderStore::lock(int operation) const {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(settings_.folder / "lock", O_RDWR | O_CREAT));
  while (::flock(fd.get(), operation) != 0) {
    if (errno != EINTR) return system_error((settings_.folder / "lock").string(), errno);
  }
  return fd;
}

Result<std::optional<CacheRecord>> FolderStore::find(const oci::Digest& key, const std::stop_token&) {
  const Result<std::string> text = read_file(record_path(key.hex()), kMaxRecordBytes);
  if (!text.ok()) {
    if (text.error().code == ErrorCode::kNotFound) return std::optional<CacheRecord>();
    return text.error();
  }
  Result<CacheRecord> record = CacheRecord::parse(*text);
  if (!record.ok()) return std::optional<CacheRecord>();
  ::utimensat(AT_FDCWD, record_path(key.hex()).c_str(), nullptr, 0);  // Used now: the last to be removed.
  return std::optional<CacheRecord>(std::move(*record));
}

Status FolderStore::give(const CachedFile& file, const fs::path& to, const std::stop_token& stop) const {
  const fs::path blob = blob_path(file.digest);
  struct stat stat {};
  if (::stat(blob.c_str(), &stat) != 0) return system_error(blob.string(), errno);
  if (static_cast<std::uint64_t>(stat.st_size) != file.size_bytes) {
    return Error{ErrorCode::kCorrupt, blob.string() + " has another size than it was kept with"};
  }
  if (::link(blob.c_str(), to.c_str()) != 0) return copy_file(blob, file, to, to.parent_path(), stop);
  if (stat.st_mtim.tv_sec >= settings_.verify_before_s && stat.st_mtim.tv_nsec == kVerifiedNanoseconds) return ok();
  NoSink nowhere;
  const Status verified = copy_verified(blob, file, nowhere, stop);
  std::error_code ignored;
  if (verified.ok()) {
    mark_verified(blob);
  } else {
    fs::remove(to, ignored);
  }
  return verified;
}

Result<bool> FolderStore::fetch(const CacheRecord& record, const fs::path& folder, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const UniqueFd held, lock(LOCK_SH));
  std::error_code error;
  std::vector<fs::path> given;
  for (const CachedFile& file : record.files) {
    const fs::path to = folder / file.path;
    fs::create_directories(to.parent_path(), error);
    fs::remove(to, error);
    const Status status = give(file, to, stop);
    if (status.ok()) {
      given.push_back(to);
      continue;
    }
    for (const fs::path& path : given) fs::remove(path, error);
    if (status.error().code == ErrorCode::kCorrupt) fs::remove(blob_path(file.digest), error);
    if (status.error().code == ErrorCode::kCorrupt || status.error().code == ErrorCode::kNotFound) return false;
    return status.error();
  }
  return true;
}

Status FolderStore::take_in(const CachedFile& file, const fs::path& from, const std::stop_token& stop) const {
  const fs::path blob = blob_path(file.digest);
  struct stat stat {};
  if (::stat(blob.c_str(), &stat) == 0 && static_cast<std::uint64_t>(stat.st_size) == file.size_bytes) return ok();
  std::error_code error;
  fs::remove(blob, error);
  if (::link(from.c_str(), blob.c_str()) != 0) {
    if (errno == EEXIST) return ok();
    RETURN_IF_ERROR(copy_file(from, file, blob, settings_.folder / "tmp", stop));
  }
  mark_verified(blob);
  return ok();
}

Status FolderStore::keep(const oci::Digest& key, const CacheRecord& record, const fs::path& folder,
                         const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const UniqueFd held, lock(LOCK_SH));
  for (const CachedFile& file : record.files) {
    RETURN_IF_ERROR(take_in(file, folder / file.path, stop));
  }
  if (!record.outline.empty()) {
    RETURN_IF_ERROR(open_file(outline_path(record.outline), O_WRONLY | O_CREAT | O_NOFOLLOW));
  }
  ASSIGN_OR_RETURN(const TempDir tmp, TempDir::create("record-", settings_.folder / "tmp"));
  RETURN_IF_ERROR(write_file_atomically(tmp.path() / "record", record.json()));
  std::error_code error;
  fs::rename(tmp.path() / "record", record_path(key.hex()), error);
  if (error) return system_error(record_path(key.hex()).string(), error.value());
  return ok();
}

bool FolderStore::may_have(const oci::Digest& outline) const {
  return ::access(outline_path(outline.hex()).c_str(), F_OK) == 0 || errno != ENOENT;
}

Result<std::vector<CacheEntry>> FolderStore::entries() const {
  ASSIGN_OR_RETURN(const UniqueFd held, lock(LOCK_SH));
  std::vector<CacheEntry> entries;
  for (const KeptRecord& kept : read_records(settings_.folder / "records")) {
    if (kept.record.title.empty()) continue;
    CacheEntry entry{kept.path.filename(), kept.record.title, 0, kept.used_s};
    for (const CachedFile& file : kept.record.files) entry.size_bytes += file.size_bytes;
    entries.push_back(std::move(entry));
  }
  return entries;
}

CacheUsage FolderStore::usage() const {
  CacheUsage usage;
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(settings_.folder / "records", error)) {
    ++usage.records;
    usage.bytes += it.file_size(error);
  }
  for (const fs::directory_entry& it : fs::directory_iterator(settings_.folder / "blobs", error)) {
    ++usage.blobs;
    usage.bytes += it.file_size(error);
  }
  return usage;
}

Result<std::uint64_t> FolderStore::prune(const CacheLimits& limits) const {
  ASSIGN_OR_RETURN(const UniqueFd held, lock(LOCK_EX));
  const std::uint64_t before = usage().bytes;
  Retention retention(limits);
  std::set<std::string> outlines;
  std::error_code error;
  for (const KeptRecord& it : read_records(settings_.folder / "records")) {
    if (it.record.title.empty()) {
      fs::remove(it.path, error);
      continue;
    }
    std::vector<SharedFile> files;
    for (const CachedFile& file : it.record.files) files.push_back({file.digest, file.size_bytes});
    if (retention.keeps(it.used_s, it.size_bytes, files)) {
      outlines.insert(it.record.outline);
    } else {
      fs::remove(it.path, error);
    }
  }
  for (const fs::directory_entry& it : fs::directory_iterator(settings_.folder / "outlines", error)) {
    std::error_code ignored;
    if (!outlines.contains(it.path().filename().string())) fs::remove(it.path(), ignored);
  }
  for (const fs::directory_entry& it : fs::directory_iterator(settings_.folder / "blobs", error)) {
    std::error_code ignored;
    if (!retention.names("sha256:" + it.path().filename().string())) fs::remove(it.path(), ignored);
  }
  for (const fs::directory_entry& it : fs::directory_iterator(settings_.folder / "tmp", error)) {
    std::error_code ignored;
    fs::remove_all(it.path(), ignored);
  }
  const std::uint64_t after = usage().bytes;
  return before > after ? before - after : 0;
}

}  // namespace imagebuild::builder
