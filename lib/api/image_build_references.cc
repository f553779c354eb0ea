#include "api/image_build_references.h"

#include <set>

namespace imagebuild::api {

std::vector<Reference> references(const ImageBuildSpec& spec) {
  using enum Reference::Kind;
  std::set<Reference> found;
  const auto secret = [&](const std::optional<SecretRef>& ref) {
    if (ref) found.insert({kSecret, ref->name, ""});
  };
  const auto docker_config = [&](const SecretRef& ref) { found.insert({kSecret, ref.name, ".dockerconfigjson"}); };
  const auto files = [&](const Source& source) {
    if (source.git) secret(source.git->secret);
    if (source.http) secret(source.http->secret);
    if (source.config_map) found.insert({kConfigMap, source.config_map->name, ""});
    if (source.claim) found.insert({kClaim, source.claim->claim_name, ""});
  };
  files(spec.source);
  for (const BuildContext& context : spec.contexts) files(context.files);
  for (const BuildArg& arg : spec.build_args) {
    if (!arg.value_from || !arg.value_from->config_map_key) continue;
    found.insert({kConfigMap, arg.value_from->config_map_key->name, arg.value_from->config_map_key->key});
  }
  for (const BuildSecret& own : spec.secrets) found.insert({kSecret, own.key.name, own.key.key});
  for (const BuildSsh& own : spec.ssh) found.insert({kSecret, own.key.name, own.key.key});
  if (spec.cache_mounts.claim) found.insert({kClaim, spec.cache_mounts.claim->claim_name, ""});
  if (uses_cache(spec.cache)) {
    if (spec.cache.claim) found.insert({kClaim, spec.cache.claim->claim_name, ""});
    if (spec.cache.registry && spec.cache.registry->secret) docker_config(*spec.cache.registry->secret);
  }
  if (spec.output.push_secret) docker_config(*spec.output.push_secret);
  for (const SecretRef& ref : spec.image_pull_secrets) docker_config(ref);
  if (spec.artifacts.transport == Transport::kVolume) {
    found.insert({kStorageClass, spec.artifacts.volume.storage_class_name, ""});
  }
  return {found.begin(), found.end()};
}

}  // namespace imagebuild::api
