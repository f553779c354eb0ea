#include "cli/build_caches.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "builder/cache/registry_store.h"
#include "builder/cache/step_inputs.h"
#include "cli/local_runtime.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

// When this machine was started: whatever was written before that may be less than it seems after a loss of power.
std::int64_t boot_time_s() {
  timespec now{};
  timespec since_boot{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return now.tv_sec - since_boot.tv_sec;
}

}  // namespace

fs::path cache_folder(const fs::path& store) {
  return store / "cache";
}

Result<builder::FolderStore> open_own_cache(const fs::path& store) {
  return builder::FolderStore::open({cache_folder(store), boot_time_s()});
}

Result<std::string> own_builder_identity() {
  const Result<fs::path> stage_program = find_stage_program();
  return builder::builder_identity(stage_program.ok() ? *stage_program : fs::path("/proc/self/exe"));
}

std::string cache_scope(const SourceOptions& source) {
  std::error_code error;
  const bool is_folder = fs::is_directory(source.context, error);
  return (is_folder ? fs::canonical(source.context, error).string() : source.context) + "\n" + source.dockerfile;
}

Status BuildCaches::add(const CacheSpec& spec, registry::Client& client, std::vector<builder::CacheStore*>& places) {
  if (spec.kind == CacheSpec::Kind::kRegistry) {
    stores_.push_back(std::make_unique<builder::RegistryStore>(client, *spec.repository));
  } else {
    // Somebody else may have brought these files here: all of them are verified.
    ASSIGN_OR_RETURN(builder::FolderStore folder, builder::FolderStore::open({spec.folder, INT64_MAX}));
    stores_.push_back(std::make_unique<builder::FolderStore>(std::move(folder)));
  }
  places.push_back(stores_.back().get());
  return ok();
}

Result<BuildCaches> BuildCaches::open(const BuildOptions& options, registry::Client& client) {
  BuildCaches caches;
  ASSIGN_OR_RETURN(builder::FolderStore own, open_own_cache(options.store));
  auto kept = std::make_unique<builder::FolderStore>(std::move(own));
  caches.own_ = kept.get();
  caches.stores_.push_back(std::move(kept));
  builder::CachePlaces& places = *caches.places_;
  places.scope = cache_scope(options.source);
  places.to.push_back(caches.own_);
  for (const CacheSpec& spec : options.cache_to) RETURN_IF_ERROR(caches.add(spec, client, places.to).in("--cache-to"));
  if (options.no_cache) return caches;
  places.from.push_back(caches.own_);
  for (const CacheSpec& spec : options.cache_from) {
    std::error_code error;
    if (spec.kind == CacheSpec::Kind::kFolder && !fs::exists(spec.folder, error)) {
      caches.warnings_.push_back("--cache-from: the folder " + spec.folder.string() +
                                 " does not exist; nothing is taken from it");
      continue;
    }
    RETURN_IF_ERROR(caches.add(spec, client, places.from).in("--cache-from"));
  }
  return caches;
}

}  // namespace imagebuild::cli
