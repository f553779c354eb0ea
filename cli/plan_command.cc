#include "cli/plan_command.h"

#include <iostream>

#include "api/volume.h"
#include "base/file.h"
#include "builder/prepare/images.h"
#include "builder/prepare/prepare.h"
#include "cli/build_caches.h"
#include "cli/plan_outlook.h"
#include "cli/plan_text.h"
#include "cli/store.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

// A folder for the artifact volume: in the store, if there is one, since what its cache has is then linked and not
// copied.
struct VolumeFolder {
  std::optional<BuildFolder> in_store;
  std::optional<TempDir> elsewhere;
  fs::path path() const { return in_store ? in_store->path() : elsewhere->path(); }
};

Result<VolumeFolder> volume_folder(const fs::path& store_folder) {
  VolumeFolder folder;
  std::error_code error;
  if (fs::exists(cache_folder(store_folder), error)) {
    const Result<Store> store = Store::open(store_folder);
    Result<BuildFolder> build = store.ok() ? store->new_build() : Result<BuildFolder>(store.error());
    if (build.ok()) {
      folder.in_store.emplace(std::move(*build));
      return folder;
    }
  }
  ASSIGN_OR_RETURN(TempDir elsewhere, TempDir::create("imagebuild-plan-"));
  folder.elsewhere.emplace(std::move(elsewhere));
  return folder;
}

std::vector<std::optional<StageOutlook>> outlooks(const PlanOptions& options, const builder::Prepared& prepared,
                                                  const fs::path& volume) {
  if (!prepared.context_folder.empty()) {
    std::error_code error;
    fs::create_directory_symlink(fs::absolute(prepared.context_folder), volume / api::volume::kContextFolder, error);
    if (error) return {};
  }
  return look_ahead(prepared.plan, volume, options.store, cache_scope(options.source), archive::Compression::kGzip);
}

Result<std::string> solved(const PlanOptions& options) {
  SystemProcessRunner processes;
  ASSIGN_OR_RETURN(const std::unique_ptr<builder::RegistryAccess> registries,
                   builder::RegistryAccess::open(options.source.registry, processes));
  const builder::OpenImage open_image = [&](const std::string& name) {
    return builder::open_image(registries->client(), name);
  };
  ASSIGN_OR_RETURN(const VolumeFolder volume, volume_folder(options.store));
  builder::PrepareRequest request;
  request.context = options.source.context;
  request.dockerfile = options.source.dockerfile;
  request.targets = options.source.targets;
  request.build_args = options.source.build_args;
  request.platforms = options.source.platforms;
  request.epoch_s = options.source.epoch_s;
  request.named_contexts = builder::images_by_name(options.source.build_contexts);
  request.run = options.source.run;
  request.volume = volume.path();
  request.for_cache = options.format == PlanFormat::kText;  // To look up what it has.
  ASSIGN_OR_RETURN(const builder::Prepared prepared, builder::prepare(request, open_image, processes));
  switch (options.format) {
    case PlanFormat::kText:
      return plan_text(prepared.plan, outlooks(options, prepared, volume.path()));
    case PlanFormat::kJson:
      return prepared.plan.json() + "\n";
    case PlanFormat::kDot:
      return plan_dot(prepared.plan);
  }
  return std::string();
}

}  // namespace

int plan_command(const PlanOptions& options) {
  const Result<std::string> text = solved(options);
  if (!text.ok()) {
    std::cerr << "imagebuild: error: " << text.error().message << "\n";
    return text.error().exit_status();
  }
  std::cout << *text << std::flush;
  return std::cout.good() ? kExitOk : kExitInfrastructure;
}

}  // namespace imagebuild::cli
