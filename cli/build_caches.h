// The caches of a build: the store's own, and those of --cache-from and --cache-to.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/cache/folder_store.h"
#include "builder/cache/stage_results.h"
#include "cli/options.h"
#include "registry/client.h"

namespace imagebuild::cli {

// Where the store at `store` keeps results of steps and stages.
std::filesystem::path cache_folder(const std::filesystem::path& store);

// The store's own cache. Files from before this machine was started are verified once before they are used.
Result<builder::FolderStore> open_own_cache(const std::filesystem::path& store);

// Names the program that makes results here: another one may make others. The stage program has all that makes one;
// without it there is only what this program computes itself.
Result<std::string> own_builder_identity();

// CachePlaces::scope of a build: another Dockerfile or context is another build.
std::string cache_scope(const SourceOptions& source);

class BuildCaches {
 public:
  // Opens what the options name: the store's own cache is read and written first, --no-cache reads nothing. `client`
  // must outlive this object. No registry is asked yet.
  static Result<BuildCaches> open(const BuildOptions& options, registry::Client& client);

  // Lives as long as this object, also when that is moved.
  const builder::CachePlaces& places() const { return *places_; }
  const builder::FolderStore& own() const { return *own_; }
  // What people should know: "the cache folder … does not exist yet".
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  BuildCaches() = default;
  Status add(const CacheSpec& spec, registry::Client& client, std::vector<builder::CacheStore*>& places);
  builder::FolderStore* own_ = nullptr;
  std::vector<std::unique_ptr<builder::CacheStore>> stores_;
  std::unique_ptr<builder::CachePlaces> places_ = std::make_unique<builder::CachePlaces>();
  std::vector<std::string> warnings_;
};

}  // namespace imagebuild::cli
