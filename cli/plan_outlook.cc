#include "cli/plan_outlook.h"

#include <system_error>

#include "api/volume.h"
#include "builder/cache/stage_results.h"
#include "cli/build_caches.h"

namespace imagebuild::cli {

std::vector<std::optional<StageOutlook>> look_ahead(const api::Plan& plan, const std::filesystem::path& volume,
                                                    const std::filesystem::path& store, const std::string& scope,
                                                    archive::Compression compression) {
  std::vector<std::optional<StageOutlook>> outlooks(plan.stages.size());
  std::error_code error;
  if (!std::filesystem::exists(cache_folder(store), error)) return outlooks;
  Result<builder::FolderStore> cache = open_own_cache(store);
  const Result<std::string> builder = own_builder_identity();
  if (!cache.ok() || !builder.ok()) return outlooks;
  builder::CachePlaces places;
  places.from = {&*cache};
  places.scope = scope;
  const builder::StageResults results(plan, places);
  builder::InputPlaces input_places{volume, {}, *builder, compression};
  input_places.reports.resize(plan.stages.size());
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const int stage = static_cast<int>(i);
    const Result<build::StageInputs> inputs = builder::stage_inputs(plan, stage, input_places);
    if (!inputs.ok()) continue;
    Result<builder::Restored> restored = results.restore(stage, *inputs, volume / api::volume::stage_folder(stage), {});
    if (!restored.ok()) continue;
    if (!inputs->is_complete && restored->steps == 0 && !restored->change) continue;
    outlooks[i] = StageOutlook{restored->report.has_value(), restored->steps,
                               restored->change ? restored->change->what : std::string()};
    input_places.reports[i] = std::move(restored->report);
  }
  return outlooks;
}

}  // namespace imagebuild::cli
