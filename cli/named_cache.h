// A cache of --cache-to, opened to be shown and made smaller.
#pragma once

#include <memory>

#include "base/process.h"
#include "base/result.h"
#include "builder/cache/inventory.h"
#include "builder/prepare/registries.h"
#include "cli/cache_spec.h"

namespace imagebuild::cli {

class NamedCache {
 public:
  // Reads what a repository has now. kNotFound: there is no such folder.
  static Result<NamedCache> open(const CacheSpec& spec, const builder::RegistryOptions& registry);

  const builder::CacheInventory& inventory() const { return *inventory_; }

 private:
  NamedCache() = default;
  std::unique_ptr<ProcessRunner> processes_ = std::make_unique<SystemProcessRunner>();
  std::unique_ptr<builder::RegistryAccess> access_;
  std::unique_ptr<builder::CacheInventory> inventory_;
};

}  // namespace imagebuild::cli
