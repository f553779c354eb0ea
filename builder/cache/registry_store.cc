#include "builder/cache/registry_store.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/stream.h"
#include "base/timestamp.h"
#include "registry/copy.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kTransfersAtOnce = 4;
// As JSON, where a character may take several.
constexpr std::uint64_t kMaxRecordBytes = 2 * CacheRecord::kMaxContentBytes;
constexpr const char* kConfig = "{}";
// A result that is kept again is written again after so long, for those who remove what was not kept for longest.
constexpr std::chrono::hours kKeptAnew{24};

oci::Descriptor describe(std::string_view media_type, const std::string& text) {
  return {std::string(media_type), oci::Digest::of(text), text.size(), {}, {}};
}

Result<oci::Descriptor> describe(const CachedFile& file) {
  ASSIGN_OR_RETURN(oci::Digest digest, oci::Digest::parse(file.digest));
  return oci::Descriptor{std::string(kCacheFileType), std::move(digest), file.size_bytes, {}, {}};
}

// The registry keeps what manifests name, nothing else.
bool names_all_files(const oci::Manifest& manifest, const CacheRecord& record) {
  std::map<std::string, std::uint64_t> sizes;
  for (const oci::Descriptor& layer : manifest.layers) sizes.emplace(layer.digest.str(), layer.size_bytes);
  return std::ranges::all_of(record.files, [&](const CachedFile& file) {
    const auto found = sizes.find(file.digest);
    return found != sizes.end() && found->second == file.size_bytes;
  });
}

// The file appears under its name at once and whole, or not at all.
Status pull_file(registry::Client& client, const oci::Reference& from, const CachedFile& file, const fs::path& folder,
                 std::stop_token stop) {
  ASSIGN_OR_RETURN(const oci::Descriptor blob, describe(file));
  const fs::path to = folder / file.path;
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return system_error(to.parent_path().string(), error.value());
  ASSIGN_OR_RETURN(const TempDir tmp, TempDir::create(".fetch-", to.parent_path()));
  const fs::path part = tmp.path() / "part";
  {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(part, O_WRONLY | O_CREAT | O_EXCL));
    FileSink sink(std::move(fd));
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, client.blob(from, blob, std::move(stop)));
    RETURN_IF_ERROR(copy_stream(*content, sink));
  }
  fs::rename(part, to, error);
  if (error) return system_error(to.string(), error.value());
  return ok();
}

Status push_file(registry::Client& client, const oci::Reference& to, const CachedFile& file, const fs::path& folder,
                 std::stop_token stop) {
  ASSIGN_OR_RETURN(const oci::Descriptor blob, describe(file));
  const auto open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(folder / file.path, O_RDONLY | O_NOFOLLOW));
    return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(fd), offset));
  };
  const auto pushed = client.push_blob(to, blob, open, {}, std::move(stop));
  return pushed.ok() ? ok() : Status(pushed.error().in(file.path));
}

bool is_gone(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt || code == ErrorCode::kLimit;
}

}  // namespace

bool is_cache_record(const oci::Manifest& manifest, std::string_view key) {
  if (manifest.config.media_type != kCacheConfigType || manifest.layers.empty()) return false;
  const oci::Descriptor& record = manifest.layers.front();
  if (record.media_type != kCacheRecordType || record.size_bytes > kMaxRecordBytes) return false;
  const auto named = manifest.annotations.find(std::string(kCacheKeyAnnotation));
  return named != manifest.annotations.end() && named->second == "sha256:" + std::string(key);
}

Error RegistryStore::note(Error error, std::atomic<bool>& is_out) {
  if (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDenied) is_out = true;
  return error;
}

std::string RegistryStore::name() const {
  return "the repository " + repository_.registry() + "/" + repository_.repository();
}

oci::Reference RegistryStore::tag_of(const oci::Digest& key) const {
  return repository_.with_tag(std::string(kCacheTagPrefix) + std::string(key.hex()));
}

Result<std::optional<CacheRecord>> RegistryStore::find(const oci::Digest& key, const std::stop_token& stop) {
  if (gives_nothing_) return std::optional<CacheRecord>();
  Result<std::optional<CacheRecord>> record = read(key, stop);
  if (record.ok()) return record;
  // Broken, foreign or half collected: as if it were not there.
  if (is_gone(record.error().code) || record.error().code == ErrorCode::kUnsupported) {
    return std::optional<CacheRecord>();
  }
  return note(record.error(), gives_nothing_);
}

Result<std::optional<CacheRecord>> RegistryStore::read(const oci::Digest& key, const std::stop_token& stop) {
  const oci::Reference tag = tag_of(key);
  ASSIGN_OR_RETURN(const registry::ManifestContent content, client_.manifest(tag, stop));
  ASSIGN_OR_RETURN(const oci::Manifest manifest, oci::Manifest::parse(content.bytes));
  if (!is_cache_record(manifest, key.hex())) return std::optional<CacheRecord>();
  ASSIGN_OR_RETURN(const std::string text, client_.blob_text(tag, manifest.layers.front(), kMaxRecordBytes, stop));
  ASSIGN_OR_RETURN(CacheRecord record, CacheRecord::parse(text));
  if (!names_all_files(manifest, record)) return std::optional<CacheRecord>();
  return std::optional(std::move(record));
}

Result<bool> RegistryStore::fetch(const CacheRecord& record, const fs::path& folder, const std::stop_token& stop) {
  if (gives_nothing_) return false;
  std::vector<registry::Transfer> transfers;
  for (const CachedFile& file : record.files) {
    transfers.emplace_back(
        [&](std::stop_token token) { return pull_file(client_, repository_, file, folder, std::move(token)); });
  }
  const Status status = registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop);
  if (status.ok()) return true;
  std::error_code ignored;
  for (const CachedFile& file : record.files) fs::remove(folder / file.path, ignored);
  if (is_gone(status.error().code)) return false;
  return note(status.error(), gives_nothing_);
}

Status RegistryStore::keep(const oci::Digest& key, const CacheRecord& record, const fs::path& folder,
                           const std::stop_token& stop) {
  if (takes_nothing_) return ok();
  const Status status = write(key, record, folder, stop);
  return status.ok() ? ok() : Status(note(status.error(), takes_nothing_));
}

Status RegistryStore::push_text(const oci::Descriptor& blob, const std::string& text, const std::stop_token& stop) {
  const auto open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(text.substr(offset)));
  };
  const auto pushed = client_.push_blob(repository_, blob, open, {}, stop);
  return pushed.ok() ? ok() : Status(pushed.error());
}

bool RegistryStore::is_kept(const oci::Digest& key, const oci::Manifest& manifest, const std::stop_token& stop) {
  const Result<registry::ManifestContent> content = client_.manifest(tag_of(key), stop);
  if (!content.ok()) return false;
  Result<oci::Manifest> there = oci::Manifest::parse(content->bytes);
  if (!there.ok()) return false;
  const std::optional<WallTime> when = parse_time(there->annotations[std::string(kCacheCreatedAnnotation)]);
  if (!when || now_() - *when > kKeptAnew) return false;
  there->annotations[std::string(kCacheCreatedAnnotation)] =
      manifest.annotations.at(std::string(kCacheCreatedAnnotation));
  return there->json() == manifest.json();
}

Status RegistryStore::write(const oci::Digest& key, const CacheRecord& record, const fs::path& folder,
                            const std::stop_token& stop) {
  const std::string config = kConfig;
  const std::string text = record.json();
  oci::Manifest manifest{std::string(oci::media_type::kOciManifest), describe(kCacheConfigType, config), {}, {}};
  manifest.annotations.emplace(kCacheKeyAnnotation, key.str());
  manifest.annotations.emplace(kCacheTitleAnnotation, record.title);
  manifest.layers.push_back(describe(kCacheRecordType, text));
  const oci::Descriptor record_blob = manifest.layers.front();
  std::map<std::string, const CachedFile*> files;  // By content, so that none is sent twice.
  for (const CachedFile& file : record.files) files.emplace(file.digest, &file);

  std::vector<registry::Transfer> transfers;
  transfers.emplace_back([&](std::stop_token token) { return push_text(manifest.config, config, token); });
  transfers.emplace_back([&](std::stop_token token) { return push_text(record_blob, text, token); });
  for (const auto& [digest, file] : files) {
    ASSIGN_OR_RETURN(oci::Descriptor blob, describe(*file));
    manifest.layers.push_back(std::move(blob));
    transfers.emplace_back([&, file = file](std::stop_token token) {
      return push_file(client_, repository_, *file, folder, std::move(token));
    });
  }
  manifest.annotations.emplace(kCacheCreatedAnnotation, time_text(now_()));
  const std::string bytes = manifest.json();
  if (bytes.size() > oci::kMaxManifestBytes) {
    return Error{ErrorCode::kLimit, "the result has too many files for one manifest of a registry"};
  }
  RETURN_IF_ERROR(registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop));
  if (is_kept(key, manifest, stop)) return ok();
  const auto pushed = client_.push_manifest(tag_of(key), manifest.media_type, bytes, stop);
  return pushed.ok() ? ok() : Status(pushed.error());
}

}  // namespace imagebuild::builder
