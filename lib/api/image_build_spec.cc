#include "api/image_build_spec.h"

#include <algorithm>

#include "api/validate_values.h"

namespace imagebuild::api {

bool uses_cache(const CacheSettings& cache) {
  return !cache.disabled && (cache.claim || cache.registry);
}

bool spreads_over_nodes(const ArtifactVolume& volume) {
  return std::ranges::find(volume.access_modes, "ReadWriteMany") != volume.access_modes.end();
}

bool on_one_node(const ImageBuildSpec& spec) {
  return spec.artifacts.transport == Transport::kVolume && !spreads_over_nodes(spec.artifacts.volume);
}

CacheSettings cache_or_default(const ImageBuildSpec& spec, const CacheSettings& of_operator) {
  const CacheSettings& own = spec.cache;
  const bool says_something = own.disabled || own.claim || own.registry;
  return says_something || spec.artifacts.transport == Transport::kRegistry ? own : of_operator;
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

RunSettings run_settings(const ImageBuildSpec& spec) {
  RunSettings settings;
  for (const ExtraHost& host : spec.extra_hosts) {
    for (const std::string& name : host.hostnames) settings.hosts.push_back({name, host.ip});
  }
  for (const RunLimit& limit : spec.ulimits) {
    settings.ulimits.push_back({limit.name, limit.soft, limit.hard.value_or(limit.soft)});
  }
  const std::optional<double> shm = parse_quantity(spec.shm_size.text);
  if (shm && *shm > 0) settings.shm_bytes = static_cast<std::uint64_t>(*shm);
  return settings;
}

const BuildSsh* find_ssh(const ImageBuildSpec& spec, const std::string& id) {
  const auto found = std::ranges::find_if(
      spec.ssh, [&](const BuildSsh& own) { return (own.id.empty() ? kDefaultSshId : own.id) == id; });
  return found == spec.ssh.end() ? nullptr : &*found;
}

}  // namespace imagebuild::api
