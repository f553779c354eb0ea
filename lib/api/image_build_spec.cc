#include "api/image_build_spec.h"

#include <algorithm>

namespace imagebuild::api {

bool spreads_over_nodes(const ArtifactVolume& volume) {
  return std::ranges::find(volume.access_modes, "ReadWriteMany") != volume.access_modes.end();
}

PodSettings settings_for(const ImageBuildSpec& spec, const std::string& stage) {
  PodSettings result = spec.stage_defaults;
  const auto found = std::ranges::find(spec.stages, stage, &StageSettings::name);
  if (found == spec.stages.end()) return result;
  const PodSettings& own = found->pod;
  const auto take = [](auto& to, const auto& from) {
    if (!from.empty()) to = from;
  };
  for (const auto& [name, quantity] : own.resources.requests) result.resources.requests[name] = quantity;
  for (const auto& [name, quantity] : own.resources.limits) result.resources.limits[name] = quantity;
  take(result.node_selector, own.node_selector);
  take(result.tolerations, own.tolerations);
  take(result.affinity.text, own.affinity.text);
  take(result.runtime_class_name, own.runtime_class_name);
  take(result.priority_class_name, own.priority_class_name);
  take(result.service_account_name, own.service_account_name);
  return result;
}

}  // namespace imagebuild::api
