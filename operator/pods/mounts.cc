#include "operator/pods/mounts.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "api/job.h"
#include "api/step_sources.h"
#include "api/volume.h"
#include "build/cluster_fit.h"
#include "build/reconcile_names.h"
#include "oci/digest.h"
#include "operator/pods/metadata.h"

namespace imagebuild::op {

namespace {

namespace job = api::job;
namespace volume = api::volume;
using kube::Json;

constexpr int kOwnerReads = 0400;
constexpr const char* kArtifacts = "artifacts";
constexpr const char* kCacheFolder = "imagebuild-cache";      // In the claim for caches, which may hold other things.
constexpr const char* kResultsFolder = "imagebuild-results";  // The same for the results of stages.

// Where the artifacts of a build lie: the source of the volume that its pods share.
Json artifact_source(const api::ImageBuild& build, std::int64_t generation) {
  switch (build.spec.artifacts.transport) {
    case api::Transport::kVolume:
      return {{"persistentVolumeClaim", {{"claimName", build::claim_name(build, generation)}}}};
    case api::Transport::kRegistry:
      return {{"emptyDir", Json::object()}};
  }
  return {};
}

void add_volume(Mounts& to, const std::string& name, Json source) {
  source["name"] = name;
  to.volumes.push_back(std::move(source));
}

void add_mount(Mounts& to, const std::string& name, const std::string& path, bool read_only) {
  Json mount = {{"name", name}, {"mountPath", path}};
  if (read_only) mount["readOnly"] = true;
  to.mounts.push_back(std::move(mount));
}

// A part of the artifact volume, where the whole of it would show it too.
void add_part(Mounts& to, const std::string& path, bool read_only) {
  add_mount(to, kArtifacts, std::string(volume::kMountPoint) + "/" + path, read_only);
  to.mounts.back()["subPath"] = path;
}

void add_read_only(Mounts& to, const std::string& name, const std::string& path, Json source) {
  add_volume(to, name, std::move(source));
  add_mount(to, name, path, true);
}

Json file_of_annotation(const char* path, const char* annotation) {
  const std::string field = std::string("metadata.annotations['") + annotation + "']";
  return {{"path", path}, {"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", field}}}};
}

Json job_source(const api::ImageBuild& build, std::int64_t generation, JobPlace place) {
  if (place == JobPlace::kRecord) return {{"configMap", {{"name", build::record_name(build, generation)}}}};
  Json items = Json::array({file_of_annotation(job::kBuildFile, kJobAnnotation)});
  if (place == JobPlace::kAnnotationsWithRegistries) {
    items.push_back(file_of_annotation(job::kRegistriesKey, kRegistriesAnnotation));
  }
  return {{"downwardAPI", {{"items", std::move(items)}}}};
}

// What all containers of the builder see: the artifacts, their job and a place for temporary files.
void add_job(Mounts& to, const api::ImageBuild& build, std::int64_t generation, JobPlace place) {
  add_mount(to, kArtifacts, volume::kMountPoint, false);
  add_read_only(to, "job", job::kFolder, job_source(build, generation, place));
  add_volume(to, "tmp", {{"emptyDir", Json::object()}});
  add_mount(to, "tmp", "/tmp", false);
}

// What prepare and publish have in common.
Mounts builder_mounts(const api::ImageBuild& build, std::int64_t generation, JobPlace place) {
  Mounts result;
  add_volume(result, kArtifacts, artifact_source(build, generation));
  add_job(result, build, generation, place);
  return result;
}

// To push and pull with. What is pushed first is asked first.
std::vector<api::SecretRef> all_registry_secrets(const api::ImageBuildSpec& spec) {
  std::vector<api::SecretRef> secrets = spec.image_pull_secrets;
  if (spec.output.push_secret) secrets.insert(secrets.begin(), *spec.output.push_secret);
  return secrets;
}

// A Secret of the type kubernetes.io/dockerconfigjson as a folder with a config.json.
void add_docker_config(Mounts& to, const std::string& name, const std::string& folder, const api::SecretRef& secret) {
  Json items = Json::array({{{"key", ".dockerconfigjson"}, {"path", "config.json"}}});
  add_read_only(to, name, folder,
                {{"secret", {{"secretName", secret.name}, {"defaultMode", kOwnerReads}, {"items", std::move(items)}}}});
}

void add_registry_secrets(Mounts& to, const std::vector<api::SecretRef>& secrets) {
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    const std::string number = std::to_string(i);
    add_docker_config(to, "registry-" + number, std::string(job::kRegistryFolder) + "/" + number, secrets[i]);
  }
}

std::optional<api::SecretRef> source_secret(const api::Source& source) {
  if (source.git) return source.git->secret;
  if (source.http) return source.http->secret;
  return {};
}

// The name of the pod's volume for a claim: `name`, unless another one has it already, for kubelets may wait for ever
// for a second one.
std::string claim_volume(Mounts& to, const std::string& claim, const std::string& name, bool read_only) {
  for (Json& volume : to.volumes) {
    const auto known = volume.find("persistentVolumeClaim");
    if (known == volume.end() || known->at("claimName") != claim) continue;
    if (!read_only) known->erase("readOnly");
    return volume.at("name");
  }
  Json source = {{"claimName", claim}};
  if (read_only) source["readOnly"] = true;
  add_volume(to, name, {{"persistentVolumeClaim", std::move(source)}});
  return name;
}

// The results of stages, for those who run no user code.
void add_cache(Mounts& to, const api::CacheSettings& cache) {
  if (!api::uses_cache(cache)) return;
  if (cache.claim) {
    add_mount(to, claim_volume(to, cache.claim->claim_name, "cache", false), job::kCache, false);
    to.mounts.back()["subPath"] = kResultsFolder;
  }
  if (cache.registry && cache.registry->secret) {
    add_docker_config(to, "cache-secret", job::kCacheSecret, *cache.registry->secret);
  }
}

// What is in the namespace of where files come from. The volumes are called `name` and `name`-secret.
void add_source(Mounts& to, const api::Source& source, const std::string& name, const std::string& folder,
                const std::string& secret_folder) {
  if (source.config_map) {
    add_read_only(to, name, folder, {{"configMap", {{"name", source.config_map->name}}}});
  }
  if (source.claim) add_mount(to, claim_volume(to, source.claim->claim_name, name, true), folder, true);
  if (const auto secret = source_secret(source)) {
    add_read_only(to, name + "-secret", secret_folder,
                  {{"secret", {{"secretName", secret->name}, {"defaultMode", kOwnerReads}}}});
  }
}

// Keys of Secrets, each as a file that only root reads; by the names of the files.
void add_keys(Mounts& to, const std::string& name, const std::vector<std::pair<std::string, api::KeyRef>>& keys) {
  if (keys.empty()) return;
  Json sources = Json::array();
  for (const auto& [file, key] : keys) {
    Json items = Json::array({{{"key", key.key}, {"path", file}, {"mode", kOwnerReads}}});
    sources.push_back({{"secret", {{"name", key.name}, {"items", std::move(items)}}}});
  }
  add_read_only(to, name, std::string(volume::kMountPoint) + "/" + name,
                {{"projected", {{"defaultMode", kOwnerReads}, {"sources", std::move(sources)}}}});
}

// An id that the spec does not have is not there; the stage says so if it cannot do without.
void add_build_secrets(Mounts& to, const api::ImageBuildSpec& spec, const std::vector<std::string>& ids) {
  std::vector<std::pair<std::string, api::KeyRef>> keys;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = std::ranges::find(spec.secrets, ids[i], &api::BuildSecret::id);
    if (found != spec.secrets.end()) keys.emplace_back(std::to_string(i), found->key);
  }
  add_keys(to, volume::kSecrets, keys);
}

void add_ssh_keys(Mounts& to, const api::ImageBuildSpec& spec, const std::vector<std::string>& ids) {
  std::vector<std::pair<std::string, api::KeyRef>> keys;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (const api::BuildSsh* own = api::find_ssh(spec, ids[i])) keys.emplace_back(std::to_string(i), own->key);
  }
  add_keys(to, volume::kSsh, keys);
}

// Where a cache lies in the claim: whoever mounts the claim finds it by its id.
std::string cache_folder(const std::string& id) {
  constexpr std::size_t kDigits = 16;
  return std::string(kCacheFolder) + "/" + std::string(oci::Digest::of(id).hex().substr(0, kDigits));
}

// A folder each, of the claim or of the pod's own.
void add_caches(Mounts& to, const api::ImageBuildSpec& spec, const std::vector<std::string>& ids) {
  if (ids.empty()) return;
  const auto& claim = spec.cache_mounts.claim;
  if (claim) {
    claim_volume(to, claim->claim_name, volume::kCaches, false);
  } else {
    add_volume(to, volume::kCaches, {{"emptyDir", Json::object()}});
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string number = std::to_string(i);
    add_mount(to, volume::kCaches, std::string(volume::kMountPoint) + "/" + volume::kCaches + "/" + number, false);
    to.mounts.back()["subPath"] = claim ? cache_folder(ids[i]) : number;
  }
}

void add_shared_memory(Mounts& to, const api::ImageBuildSpec& spec) {
  if (spec.shm_size.text.empty()) return;
  add_volume(to, "shm", {{"emptyDir", {{"medium", "Memory"}, {"sizeLimit", spec.shm_size.text}}}});
  add_mount(to, "shm", "/dev/shm", false);
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}
std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

Mounts prepare_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place) {
  Mounts result = builder_mounts(build, create.generation, place);
  add_source(result, build.spec.source, "source", job::kSource, job::kSourceSecret);
  for (std::size_t i = 0; i < build.spec.contexts.size(); ++i) {
    add_source(result, build.spec.contexts[i].files, "context-" + std::to_string(i), job::context_source(i),
               job::context_secret(i));
  }
  // Where the artifacts are for one node, its stages must find the caches there: the scheduler places the claims of a
  // pod together, whether a container mounts them or not.
  if (build.spec.cache_mounts.claim && on_one_node(build.spec)) {
    claim_volume(result, build.spec.cache_mounts.claim->claim_name, volume::kCaches, false);
  }
  add_cache(result, build.spec.cache);
  // Who stores artifacts pushes.
  const bool pushes = build.spec.artifacts.transport == api::Transport::kRegistry;
  add_registry_secrets(result, pushes ? all_registry_secrets(build.spec) : build.spec.image_pull_secrets);
  return result;
}

Mounts publish_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place) {
  Mounts result = builder_mounts(build, create.generation, place);
  add_cache(result, build.spec.cache);
  add_registry_secrets(result, all_registry_secrets(build.spec));
  return result;
}

Mounts keep_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place) {
  Mounts result = builder_mounts(build, create.generation, place);
  add_cache(result, build.spec.cache);
  const bool has_own_secret = !build.spec.cache.registry || build.spec.cache.registry->secret;
  if (!has_own_secret) add_registry_secrets(result, all_registry_secrets(build.spec));
  return result;
}

Mounts transfer_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place) {
  Mounts result;
  add_job(result, build, create.generation, place);
  add_registry_secrets(result, all_registry_secrets(build.spec));
  return result;
}

Mounts stage_mounts(const api::ImageBuild& build, const api::Plan& plan, const build::CreatePod& create) {
  const int stage = create.work.stage;
  const api::PlanStage& own = plan.stages[static_cast<std::size_t>(stage)];
  Mounts result;
  add_volume(result, kArtifacts, artifact_source(build, create.generation));
  // A computed stage runs the program of its image.
  if (own.needs_container)
    add_part(result, parent_of(volume::stage_program(build::node_architecture(own.platform))), true);
  add_part(result, volume::kPlan, true);
  add_part(result, folder_of(volume::kContextIndex), true);
  add_part(result, folder_of(volume::base_index(0)), true);
  for (const int tree : api::trees_of(own)) {
    add_part(result, volume::tree_index(tree), true);
    add_part(result, volume::tree_tar(tree), true);
  }
  std::set<int> seen;
  for (const int need : own.needs) seen.insert(need);
  for (const int below : api::base_chain(plan, stage)) seen.insert(below);
  seen.erase(stage);
  // All of them are done, so their folders are there; the kubelet makes the stage's own.
  for (const int other : seen) add_part(result, volume::stage_folder(other), true);
  add_part(result, volume::stage_folder(stage), false);
  add_build_secrets(result, build.spec, api::secret_ids(plan, stage));
  add_ssh_keys(result, build.spec, api::ssh_ids(plan, stage));
  add_caches(result, build.spec, api::cache_ids(plan, stage));
  if (own.needs_container) add_shared_memory(result, build.spec);
  return result;
}

}  // namespace imagebuild::op
