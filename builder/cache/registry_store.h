// A cache in a repository of a registry, for machines that share no disk. A record under a key is the tag
// "cache-<64 digits of the key>": an OCI manifest whose config says that it is one of ours, whose first layer is the
// record's JSON, and whose other layers are the record's files. Blobs have their content's name and the tag is written
// last, so that writers at the same time, or one that is cut off, never make a wrong record.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "builder/cache/store.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "registry/client.h"

namespace imagebuild::builder {

inline constexpr std::string_view kCacheConfigType = "application/vnd.imagebuild.cache.v1+json";
inline constexpr std::string_view kCacheRecordType = "application/vnd.imagebuild.cache.record.v1+json";
inline constexpr std::string_view kCacheFileType = "application/vnd.imagebuild.cache.file.v1";
inline constexpr std::string_view kCacheTagPrefix = "cache-";
// Of the manifest: the key, so that a tag that somebody moved is noticed; what it is, for people; when it was kept
// last.
inline constexpr std::string_view kCacheKeyAnnotation = "dev.imagebuild.cache.key";
inline constexpr std::string_view kCacheTitleAnnotation = "org.opencontainers.image.title";
inline constexpr std::string_view kCacheCreatedAnnotation = "org.opencontainers.image.created";

// Whether the manifest is that of a result under this key (64 hexadecimal digits).
bool is_cache_record(const oci::Manifest& manifest, std::string_view key);

// All members may be called by several threads at once. A registry that could not be reached, or refused to give (or to
// take), says so once and is not asked to give (take) again by this object: then it has nothing (and keeps nothing).
class RegistryStore final : public CacheStore {
 public:
  // `client` must outlive this; the tag of `repository` does not matter.
  RegistryStore(registry::Client& client, oci::Reference repository, Clock now = system_clock_now)
      : client_(client), repository_(std::move(repository)), now_(std::move(now)) {}

  Result<std::optional<CacheRecord>> find(const oci::Digest& key, const std::stop_token& stop) override;
  Result<bool> fetch(const CacheRecord& record, const std::filesystem::path& folder,
                     const std::stop_token& stop) override;
  Status keep(const oci::Digest& key, const CacheRecord& record, const std::filesystem::path& folder,
              const std::stop_token& stop) override;
  std::string name() const override;

 private:
  // `error` itself; `is_out` is set if asking again is in vain.
  static Error note(Error error, std::atomic<bool>& is_out);
  oci::Reference tag_of(const oci::Digest& key) const;
  Result<std::optional<CacheRecord>> read(const oci::Digest& key, const std::stop_token& stop);
  Status write(const oci::Digest& key, const CacheRecord& record, const std::filesystem::path& folder,
               const std::stop_token& stop);
  // Whether the tag says the same and was written not long ago.
  bool is_kept(const oci::Digest& key, const oci::Manifest& manifest, const std::stop_token& stop);
  Status push_text(const oci::Descriptor& blob, const std::string& text, const std::stop_token& stop);

  registry::Client& client_;
  oci::Reference repository_;
  Clock now_;
  std::atomic<bool> gives_nothing_ = false;
  std::atomic<bool> takes_nothing_ = false;
};

}  // namespace imagebuild::builder
