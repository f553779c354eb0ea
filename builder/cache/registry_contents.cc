#include "builder/cache/registry_contents.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/timestamp.h"
#include "builder/cache/registry_store.h"
#include "builder/cache/retention.h"
#include "registry/copy.h"

namespace imagebuild::builder {

namespace {

constexpr std::size_t kRequestsAtOnce = 8;

std::string annotation(const oci::Manifest& manifest, std::string_view name) {
  const auto found = manifest.annotations.find(std::string(name));
  return found == manifest.annotations.end() ? std::string() : found->second;
}

std::int64_t seconds_of(const std::string& time) {
  const std::optional<WallTime> parsed = parse_time(time);
  return parsed ? std::chrono::duration_cast<std::chrono::seconds>(parsed->time_since_epoch()).count() : 0;
}

}  // namespace

Result<std::optional<RegistryContents::Kept>> RegistryContents::read_one(registry::Client& client,
                                                                         const oci::Reference& tag,
                                                                         const std::stop_token& stop) {
  const std::optional<Kept> none;
  const Result<registry::ManifestContent> content = client.manifest(tag, stop);
  if (!content.ok() && content.error().code == ErrorCode::kNotFound) return none;  // Gone meanwhile.
  if (!content.ok()) return content.error();
  const Result<oci::Manifest> manifest = oci::Manifest::parse(content->bytes);
  const std::string key = tag.tag().substr(kCacheTagPrefix.size());
  if (!manifest.ok() || !is_cache_record(*manifest, key)) return none;
  Kept kept{{key, annotation(*manifest, kCacheTitleAnnotation), 0,
             seconds_of(annotation(*manifest, kCacheCreatedAnnotation))},
            content->descriptor.digest,
            manifest->layers};
  for (const oci::Descriptor& layer : manifest->layers) kept.entry.size_bytes += layer.size_bytes;
  return std::optional(std::move(kept));
}

Result<RegistryContents> RegistryContents::read(registry::Client& client, const oci::Reference& repository,
                                                const std::stop_token& stop) {
  RegistryContents contents(client, repository);
  ASSIGN_OR_RETURN(const std::vector<std::string> tags, client.tags(repository, stop));
  std::mutex mutex;
  std::vector<registry::Transfer> requests;
  for (const std::string& tag : tags) {
    if (!tag.starts_with(kCacheTagPrefix)) continue;
    requests.emplace_back([&, tag](const std::stop_token& token) -> Status {
      ASSIGN_OR_RETURN(std::optional<Kept> kept, read_one(client, repository.with_tag(tag), token));
      const std::lock_guard lock(mutex);
      if (kept) contents.kept_.push_back(std::move(*kept));
      return ok();
    });
  }
  RETURN_IF_ERROR(registry::run_parallel(std::move(requests), kRequestsAtOnce, stop));
  std::ranges::sort(contents.kept_, [](const Kept& a, const Kept& b) {
    return std::tie(b.entry.used_s, a.entry.key) < std::tie(a.entry.used_s, b.entry.key);
  });
  return contents;
}

Result<std::vector<CacheEntry>> RegistryContents::entries() const {
  std::vector<CacheEntry> entries;
  for (const Kept& kept : kept_) entries.push_back(kept.entry);
  return entries;
}

CacheUsage RegistryContents::usage() const {
  CacheUsage usage;
  std::set<oci::Digest> all;
  for (const Kept& kept : kept_) {
    for (const oci::Descriptor& blob : kept.blobs) {
      if (all.insert(blob.digest).second) usage.bytes += blob.size_bytes;
    }
  }
  usage.records = kept_.size();
  usage.blobs = all.size();
  return usage;
}

Result<std::uint64_t> RegistryContents::prune(const CacheLimits& limits) const {
  Retention retention(limits);
  std::vector<registry::Transfer> requests;
  for (const Kept& kept : kept_) {
    std::vector<SharedFile> files;
    for (const oci::Descriptor& blob : kept.blobs) files.push_back({blob.digest.str(), blob.size_bytes});
    if (retention.keeps(kept.entry.used_s, 0, files)) continue;
    requests.emplace_back(
        [&](const std::stop_token& token) { return client_->remove_manifest(repository_, kept.manifest, token); });
  }
  RETURN_IF_ERROR(registry::run_parallel(std::move(requests), kRequestsAtOnce));
  return usage().bytes - retention.bytes();
}

}  // namespace imagebuild::builder
