#include "cli/named_cache.h"

#include <utility>

#include "builder/cache/folder_store.h"
#include "builder/cache/registry_contents.h"

namespace imagebuild::cli {

Result<NamedCache> NamedCache::open(const CacheSpec& spec, const builder::RegistryOptions& registry) {
  NamedCache cache;
  if (spec.kind == CacheSpec::Kind::kFolder) {
    std::error_code error;
    if (!std::filesystem::is_directory(spec.folder, error)) {
      return Error{ErrorCode::kNotFound, "there is no folder " + spec.folder.string()};
    }
    ASSIGN_OR_RETURN(builder::FolderStore folder, builder::FolderStore::open({spec.folder}));
    cache.inventory_ = std::make_unique<builder::FolderStore>(std::move(folder));
    return cache;
  }
  ASSIGN_OR_RETURN(cache.access_, builder::RegistryAccess::open(registry, *cache.processes_));
  ASSIGN_OR_RETURN(builder::RegistryContents repository,
                   builder::RegistryContents::read(cache.access_->client(), *spec.repository, {}));
  cache.inventory_ = std::make_unique<builder::RegistryContents>(std::move(repository));
  return cache;
}

}  // namespace imagebuild::cli
