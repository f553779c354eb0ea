#include "operator/pods/mounts.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "api/job.h"
#include "api/volume.h"
#include "build/reconcile_names.h"

namespace imagebuild::op {

namespace {

namespace job = api::job;
namespace volume = api::volume;
using kube::Json;

constexpr int kOwnerReads = 0400;
constexpr const char* kArtifacts = "artifacts";

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

// What all containers of the builder see: the artifacts, their job and a place for temporary files.
void add_job(Mounts& to, const api::ImageBuild& build, std::int64_t generation) {
  add_mount(to, kArtifacts, volume::kMountPoint, false);
  add_read_only(to, "job", job::kFolder, {{"configMap", {{"name", build::record_name(build, generation)}}}});
  add_volume(to, "tmp", {{"emptyDir", Json::object()}});
  add_mount(to, "tmp", "/tmp", false);
}

// What prepare and publish have in common.
Mounts builder_mounts(const api::ImageBuild& build, std::int64_t generation) {
  Mounts result;
  add_volume(result, kArtifacts, artifact_source(build, generation));
  add_job(result, build, generation);
  return result;
}

// To push and pull with. What is pushed first is asked first.
std::vector<api::SecretRef> all_registry_secrets(const api::ImageBuildSpec& spec) {
  std::vector<api::SecretRef> secrets = spec.image_pull_secrets;
  if (spec.output.push_secret) secrets.insert(secrets.begin(), *spec.output.push_secret);
  return secrets;
}

// Secrets of the type kubernetes.io/dockerconfigjson, each as a folder with a config.json.
void add_registry_secrets(Mounts& to, const std::vector<api::SecretRef>& secrets) {
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    const std::string number = std::to_string(i);
    Json items = Json::array({{{"key", ".dockerconfigjson"}, {"path", "config.json"}}});
    add_read_only(
        to, "registry-" + number, std::string(job::kRegistryFolder) + "/" + number,
        {{"secret", {{"secretName", secrets[i].name}, {"defaultMode", kOwnerReads}, {"items", std::move(items)}}}});
  }
}

std::optional<api::SecretRef> source_secret(const api::Source& source) {
  if (source.git) return source.git->secret;
  if (source.http) return source.http->secret;
  return {};
}

void add_source(Mounts& to, const api::Source& source) {
  if (source.config_map) {
    add_read_only(to, "source", job::kSource, {{"configMap", {{"name", source.config_map->name}}}});
  }
  if (source.claim) {
    add_read_only(to, "source", job::kSource,
                  {{"persistentVolumeClaim", {{"claimName", source.claim->claim_name}, {"readOnly", true}}}});
  }
  if (const auto secret = source_secret(source)) {
    add_read_only(to, "source-secret", job::kSourceSecret,
                  {{"secret", {{"secretName", secret->name}, {"defaultMode", kOwnerReads}}}});
  }
}

// An id that the spec does not have is not there; the stage says so if it cannot do without.
void add_build_secrets(Mounts& to, const api::ImageBuildSpec& spec, const std::vector<std::string>& ids) {
  Json sources = Json::array();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = std::ranges::find(spec.secrets, ids[i], &api::BuildSecret::id);
    if (found == spec.secrets.end()) continue;
    Json items = Json::array({{{"key", found->key.key}, {"path", std::to_string(i)}, {"mode", kOwnerReads}}});
    sources.push_back({{"secret", {{"name", found->key.name}, {"items", std::move(items)}}}});
  }
  if (sources.empty()) return;
  add_read_only(to, volume::kSecrets, std::string(volume::kMountPoint) + "/" + volume::kSecrets,
                {{"projected", {{"defaultMode", kOwnerReads}, {"sources", std::move(sources)}}}});
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}

}  // namespace

Mounts prepare_mounts(const api::ImageBuild& build, const build::CreatePod& create) {
  Mounts result = builder_mounts(build, create.generation);
  add_source(result, build.spec.source);
  // Who stores artifacts pushes.
  const bool pushes = build.spec.artifacts.transport == api::Transport::kRegistry;
  add_registry_secrets(result, pushes ? all_registry_secrets(build.spec) : build.spec.image_pull_secrets);
  return result;
}

Mounts publish_mounts(const api::ImageBuild& build, const build::CreatePod& create) {
  Mounts result = builder_mounts(build, create.generation);
  add_registry_secrets(result, all_registry_secrets(build.spec));
  return result;
}

Mounts transfer_mounts(const api::ImageBuild& build, const build::CreatePod& create) {
  Mounts result;
  add_job(result, build, create.generation);
  add_registry_secrets(result, all_registry_secrets(build.spec));
  return result;
}

Mounts stage_mounts(const api::ImageBuild& build, const api::Plan& plan, const build::CreatePod& create) {
  const int stage = create.work.stage;
  Mounts result;
  add_volume(result, kArtifacts, artifact_source(build, create.generation));
  add_part(result, folder_of(volume::kStageProgram), true);
  add_part(result, volume::kPlan, true);
  add_part(result, folder_of(volume::kContextIndex), true);
  add_part(result, folder_of(volume::base_index(0)), true);
  std::set<int> seen;
  for (const int need : plan.stages[static_cast<std::size_t>(stage)].needs) seen.insert(need);
  for (const int below : api::base_chain(plan, stage)) seen.insert(below);
  seen.erase(stage);
  // All of them are done, so their folders are there; the kubelet makes the stage's own.
  for (const int other : seen) add_part(result, volume::stage_folder(other), true);
  add_part(result, volume::stage_folder(stage), false);
  add_build_secrets(result, build.spec, api::secret_ids(plan, stage));
  return result;
}

}  // namespace imagebuild::op
