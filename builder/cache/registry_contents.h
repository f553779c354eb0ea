// The results that a repository of a registry has (registry_store.h), to be shown and removed. A result counts as used
// when it was kept: builds that only read a repository cannot write that down.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "builder/cache/inventory.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "registry/client.h"

namespace imagebuild::builder {

class RegistryContents final : public CacheInventory {
 public:
  // As the repository is now; tags that are not results do not count. `client` must outlive this object.
  static Result<RegistryContents> read(registry::Client& client, const oci::Reference& repository,
                                       const std::stop_token& stop);

  Result<std::vector<CacheEntry>> entries() const override;
  CacheUsage usage() const override;
  // Takes the tags and their manifests out of the repository. The registry frees the files when it next collects what
  // no manifest names. kUnsupported: it removes nothing.
  Result<std::uint64_t> prune(const CacheLimits& limits) const override;

 private:
  struct Kept {
    CacheEntry entry;
    oci::Digest manifest;
    std::vector<oci::Descriptor> blobs;
  };
  RegistryContents(registry::Client& client, oci::Reference repository)
      : client_(&client), repository_(std::move(repository)) {}
  static Result<std::optional<Kept>> read_one(registry::Client& client, const oci::Reference& tag,
                                              const std::stop_token& stop);

  registry::Client* client_;
  oci::Reference repository_;
  std::vector<Kept> kept_;  // The last used one first.
};

}  // namespace imagebuild::builder
