#include "operator/pods/pod.h"

#include <chrono>
#include <cstdlib>

#include "api/job.h"
#include "api/validate_values.h"
#include "api/volume.h"
#include "build/cluster_fit.h"
#include "oci/digest.h"
#include "oci/platform.h"
#include "operator/pods/metadata.h"
#include "operator/pods/mounts.h"
#include "operator/pods/record.h"
#include "operator/pods/scheduling.h"
#include "operator/pods/security.h"

namespace imagebuild::op {

namespace {

namespace job = api::job;
namespace volume = api::volume;
using build::CreatePod;
using build::PodRole;
using kube::Json;

// A command gets 10 s of them to end after SIGTERM; the rest is for the builder's own last words.
constexpr int kGraceSeconds = 30;
// The operator ends builds at their deadline; the kubelet does when there is no operator.
constexpr std::chrono::seconds kDeadlineSlack{60};
// Of a pod for which nobody waits.
constexpr std::chrono::seconds kKeepDeadline{600};
// What commands see as their host's name: the same in each attempt, and as in a build without a cluster.
constexpr const char* kHostname = "imagebuild";
constexpr const char* kBuilderProgram = "imagebuild-builder";
constexpr const char* kAnyLinux = "linux";

// What differs from container to container, and from pod to pod.
struct Work {
  std::string container;
  std::string image;
  std::string image_pull_policy;
  std::vector<std::string> command;
  Mounts mounts;
  Json security;
  api::ResourceNeeds resources;
  api::PodSettings settings;
  std::string platform = kAnyLinux;
  std::string preferred_architecture;  // Of the node, where there is one; empty: none.
  Json hosts = Json::array();          // PodSpec.hostAliases
};

// The builder's pods run where those of stages may: they share a volume, and often a taint. Where the volume is for one
// node, the first pod chooses it for all, so it goes by what any stage asks of its node.
api::PodSettings builder_settings(const api::ImageBuildSpec& spec) {
  api::PodSettings settings = spec.stage_defaults;
  settings.resources = {};
  settings.runtime_class_name.clear();
  if (!api::on_one_node(spec)) return settings;
  for (const api::StageSettings& stage : spec.stages) {
    settings.node_selector.insert(stage.pod.node_selector.begin(), stage.pod.node_selector.end());
  }
  return settings;
}

bool uses_registry(const api::ImageBuild& build) {
  return build.spec.artifacts.transport == api::Transport::kRegistry;
}

// What the tags of a build's artifacts begin with: a repository may serve many builds.
std::string artifact_tag(const api::ImageBuild& build, std::int64_t generation) {
  constexpr std::size_t kDigits = 16;
  return std::string(oci::Digest::of(build.uid).hex().substr(0, kDigits)) + "-" + std::to_string(generation);
}

JobPlace place_of(const std::optional<JobText>& text) {
  if (!text) return JobPlace::kRecord;
  return text->registries.empty() ? JobPlace::kAnnotations : JobPlace::kAnnotationsWithRegistries;
}

// `what` is the command, and the container's name.
Work builder_work(const api::ImageBuild& build, const std::string& what, const CreatePod& create, JobPlace place,
                  const ClusterSettings& settings) {
  Work work;
  work.container = what;
  work.image = settings.builder_image;
  work.image_pull_policy = settings.image_pull_policy;
  const char* file = place == JobPlace::kRecord ? job::kBuildKey : job::kBuildFile;
  work.command = {kBuilderProgram,    what, "--job", std::string(job::kFolder) + "/" + file, "--volume",
                  volume::kMountPoint};
  if (!settings.registries.empty()) {
    work.command.emplace_back("--registries");
    work.command.push_back(std::string(job::kFolder) + "/" + job::kRegistriesKey);
  }
  if (uses_registry(build)) {
    work.command.emplace_back("--artifact-tag");
    work.command.push_back(artifact_tag(build, create.generation));
  }
  work.security = builder_security();
  work.resources = settings.builder_resources;
  work.settings = builder_settings(build.spec);
  return work;
}

// A container has the program of its platform on the volume; a computed stage runs the stage image's own, on any node.
std::string stage_program(const api::PlanStage& stage) {
  const std::string path = stage.needs_container ? volume::stage_program(build::node_architecture(stage.platform))
                                                 : std::string(volume::kStageProgram);
  return std::string(volume::kMountPoint) + "/" + path;
}

Json host_aliases(const api::ImageBuildSpec& spec) {
  Json result = Json::array();
  for (const api::ExtraHost& host : spec.extra_hosts) {
    result.push_back({{"ip", host.ip}, {"hostnames", host.hostnames}});
  }
  return result;
}

Work stage_work(const api::ImageBuild& build, const api::Plan& plan, const CreatePod& create,
                const ClusterSettings& settings) {
  const int index = create.work.stage;
  const api::PlanStage& stage = plan.stages[static_cast<std::size_t>(index)];
  const api::BaseImage* base = stage.needs_container ? api::root_image(plan, index) : nullptr;
  Work work;
  work.container = role_name(PodRole::kStage);
  work.image = base == nullptr ? settings.stage_image : base->reference;
  // A base is pinned by its digest: the node's copy is as good as the registry's.
  work.image_pull_policy = base == nullptr ? settings.image_pull_policy : "IfNotPresent";
  work.command = {stage_program(stage),
                  "--volume",
                  volume::kMountPoint,
                  "--stage",
                  std::to_string(index),
                  "--compression",
                  build.spec.output.compression == api::Compression::kZstd ? "zstd" : "gzip"};
  if (create.early) work.command.emplace_back("--wait");
  work.mounts = stage_mounts(build, plan, create);
  work.security = stage.needs_container ? run_security() : builder_security();
  work.settings = api::settings_for(build.spec, api::written_name(stage));
  work.resources = work.settings.resources;
  if (!stage.needs_container) return work;
  work.platform = stage.platform;
  work.hosts = host_aliases(build.spec);
  return work;
}

// A container that moves artifacts for the stage's.
Work transfer_work(const api::ImageBuild& build, const std::string& what, const CreatePod& create, JobPlace place,
                   const ClusterSettings& settings) {
  Work work = builder_work(build, what, create, place, settings);
  work.command.emplace_back("--stage");
  work.command.push_back(std::to_string(create.work.stage));
  work.mounts = transfer_mounts(build, create, place);
  return work;
}

// The first pod of a build on one node chooses the node of all: one that can run the stages, if there is any. It need
// not be so, for there may be no stage that runs anything.
std::string first_choice(const api::ImageBuildSpec& spec) {
  if (!api::on_one_node(spec) || spec.platforms.size() != 1) return {};
  const Result<oci::Platform> platform = oci::Platform::parse(spec.platforms.front());
  return platform.ok() ? platform->architecture() : "";
}

Work work_of(const api::ImageBuild& build, const std::optional<api::Plan>& plan, const CreatePod& create,
             JobPlace place, const ClusterSettings& settings) {
  if (create.work.role == PodRole::kStage) return stage_work(build, *plan, create, settings);
  const bool prepares = create.work.role == PodRole::kPrepare;
  Work work = builder_work(build, role_name(create.work.role), create, place, settings);
  if (create.work.role == PodRole::kKeep) {
    for (const int stage : create.stages) {
      work.command.emplace_back("--stage");
      work.command.push_back(std::to_string(stage));
    }
    work.mounts = keep_mounts(build, create, place);
    return work;
  }
  if (create.early) work.command.emplace_back("--wait");
  work.mounts = prepares ? prepare_mounts(build, create, place) : publish_mounts(build, create, place);
  if (prepares) work.preferred_architecture = first_choice(build.spec);
  return work;
}

Json environment(const api::ImageBuild& build, const std::string& pod_name, const ClusterSettings& settings) {
  if (settings.report_base_url.empty()) return Json::array();
  const std::string path = report_path(build, pod_name);
  return Json::array({{{"name", job::kReportUrl}, {"value", settings.report_base_url + path}},
                      {{"name", job::kReportToken}, {"value", settings.sign(path)}}});
}

Json container(Json env, Work& work) {
  Json result = {{"name", work.container},
                 {"image", work.image},
                 {"command", work.command},
                 {"workingDir", "/"},  // Not the image's: the runtime would make it where it is missing.
                 {"env", std::move(env)},
                 {"resources", resources_json(work.resources)},
                 {"securityContext", std::move(work.security)},
                 {"terminationMessagePath", job::kTerminationLog},
                 {"terminationMessagePolicy", "File"},
                 {"volumeMounts", std::move(work.mounts.mounts)}};
  if (!work.image_pull_policy.empty()) result["imagePullPolicy"] = work.image_pull_policy;
  return result;
}

std::int64_t deadline_seconds(const api::ImageBuildSpec& spec) {
  const auto own = api::parse_duration(spec.timeout.empty() ? api::kDefaultTimeout : spec.timeout);
  const auto timeout = own.value_or(*api::parse_duration(api::kDefaultTimeout));  // validate() has read it before.
  return std::chrono::ceil<std::chrono::seconds>(timeout + kDeadlineSlack).count();
}

Json pull_secrets(const api::ImageBuildSpec& spec) {
  Json result = Json::array();
  for (const api::SecretRef& secret : spec.image_pull_secrets) result.push_back({{"name", secret.name}});
  return result;
}

// The containers before and beside the stage's. They do not report: the pod's phase says that they are done, and their
// termination messages what went wrong.
void add_transfers(const api::ImageBuild& build, const CreatePod& create, JobPlace place,
                   const ClusterSettings& settings, Json& spec) {
  Work fetch = transfer_work(build, kFetchContainer, create, place, settings);
  Work store = transfer_work(build, kStoreContainer, create, place, settings);
  for (Json& volume : fetch.mounts.volumes) spec["volumes"].push_back(std::move(volume));
  spec["initContainers"] = Json::array({container(Json::array(), fetch)});
  spec["containers"].push_back(container(Json::array(), store));
}

}  // namespace

std::string report_path(const api::ImageBuild& build, const std::string& pod_name) {
  return "/v1/reports/" + build.ns + "/" + build.name + "/" + build.uid + "/" + pod_name;
}

Json make_pod(const api::ImageBuild& build, const std::optional<api::Plan>& plan, const CreatePod& create,
              const ClusterSettings& settings) {
  const bool is_stage = create.work.role == PodRole::kStage;
  const auto stage = static_cast<std::size_t>(create.work.stage);
  if (is_stage && (!plan || create.work.stage < 0 || stage >= plan->stages.size())) std::abort();

  const bool transfers = is_stage && uses_registry(build);
  const bool has_job = !is_stage || transfers;
  const auto text = has_job ? job_text(build, create.generation, settings.registries) : std::nullopt;
  Work work = work_of(build, plan, create, place_of(text), settings);
  Json metadata =
      object_metadata(build, create.name, pod_labels(build, create.generation, create.work, create.attempt));
  if (is_stage) metadata["annotations"][kStageNameAnnotation] = plan->stages[stage].name;
  if (text) metadata["annotations"][kJobAnnotation] = text->build;
  if (text && !text->registries.empty()) metadata["annotations"][kRegistriesAnnotation] = text->registries;
  Json spec = {{"restartPolicy", "Never"},
               {"automountServiceAccountToken", false},
               {"enableServiceLinks", false},
               {"terminationGracePeriodSeconds", kGraceSeconds},
               {"activeDeadlineSeconds",
                create.work.role == PodRole::kKeep ? kKeepDeadline.count() : deadline_seconds(build.spec)},
               {"securityContext", pod_security()},
               {"volumes", std::move(work.mounts.volumes)}};
  if (is_stage) spec["hostname"] = kHostname;
  if (Json secrets = pull_secrets(build.spec); !secrets.empty()) spec["imagePullSecrets"] = std::move(secrets);
  if (!work.hosts.empty()) spec["hostAliases"] = std::move(work.hosts);
  schedule_pod(spec, work.settings, {work.platform, work.preferred_architecture, create.node});
  spec["containers"] = Json::array({container(environment(build, create.name, settings), work)});
  if (transfers) add_transfers(build, create, place_of(text), settings, spec);
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}};
}

}  // namespace imagebuild::op
