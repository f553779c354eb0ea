#include "build/cluster_fit.h"

#include <algorithm>
#include <set>

#include "api/reasons.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;

constexpr const char* kArchLabels[] = {"kubernetes.io/arch", "beta.kubernetes.io/arch"};
constexpr const char* kOsLabels[] = {"kubernetes.io/os", "beta.kubernetes.io/os"};

std::string in_quotes(const std::string& text) {
  return "'" + text + "'";
}

class Fitting {
 public:
  Fitting(const api::Plan& plan, const api::ImageBuildSpec& spec) : plan_(plan), spec_(spec) {}

  std::optional<Misfit> run() {
    for (const api::PlanStage& stage : plan_.stages) {
      if (!stage.needs_container) continue;
      if (auto misfit = node_selector(stage)) return misfit;
      for (const api::Step& step : stage.steps) {
        if (auto misfit = run_step(stage, step)) return misfit;
      }
    }
    return one_node();
  }

 private:
  std::string at(const api::SourceLine& line) const { return api::place(plan_, line) + ": "; }

  Misfit of_stage(const api::PlanStage& stage, const std::string& message) const {
    return {stage.name, "", stage.at.line, reason::kInvalidInput, at(stage.at) + message};
  }
  Misfit of_step(const api::PlanStage& stage, const api::Step& step, const char* why,
                 const std::string& message) const {
    return {stage.name, step.text, step.at.line, why, at(step.at) + message};
  }

  // What the user asks of the node, against what the stage's platform does.
  std::optional<Misfit> node_selector(const api::PlanStage& stage) const {
    const api::PodSettings settings = api::settings_for(spec_, api::written_name(stage));
    const std::string os = stage.platform.substr(0, stage.platform.find('/'));
    const auto check = [&](const char* label, const std::string& wanted) -> std::optional<Misfit> {
      const auto own = settings.node_selector.find(label);
      if (wanted.empty() || own == settings.node_selector.end() || own->second == wanted) return {};
      return of_stage(stage, "stage " + in_quotes(stage.name) + " is for " + stage.platform + ", but " +
                                 selector_field(stage, label) + " wants a node with " + label + "=" + own->second +
                                 "; take that out, for the stage's pod goes to a node of its platform by itself");
    };
    for (const char* label : kArchLabels) {
      if (auto misfit = check(label, node_architecture(stage.platform))) return misfit;
    }
    for (const char* label : kOsLabels) {
      if (auto misfit = check(label, os)) return misfit;
    }
    return {};
  }

  // Where the selector that counts for the stage stands.
  std::string selector_field(const api::PlanStage& stage, const char* label) const {
    const std::string name = api::written_name(stage);
    const auto own = std::ranges::find(spec_.stages, name, &api::StageSettings::name);
    const bool by_stage = own != spec_.stages.end() && own->pod.node_selector.contains(label);
    return by_stage ? "spec.stages[" + name + "].nodeSelector" : "spec.stageDefaults.nodeSelector";
  }

  std::optional<Misfit> run_step(const api::PlanStage& stage, const api::Step& step) const {
    const auto* run = std::get_if<api::RunStep>(&step.action);
    if (run == nullptr) return {};
    if (run->network == api::Network::kHost) {
      return of_step(stage, step, reason::kUnsupported,
                     "RUN --network=host needs the network of the node, which no pod of a build has; leave it out, or "
                     "build this image without a cluster");
    }
    for (const api::SecretMount& secret : run->secrets) {
      if (!secret.required || std::ranges::find(spec_.secrets, secret.id, &api::BuildSecret::id) != spec_.secrets.end())
        continue;
      return of_step(stage, step, reason::kNotFound,
                     "RUN --mount=type=secret requires the secret " + in_quotes(secret.id) +
                         ", which was not given; name it in the spec.secrets of the ImageBuild");
    }
    for (const api::Mount& mount : run->mounts) {
      const auto* ssh = std::get_if<api::SshMount>(&mount);
      if (ssh == nullptr || !ssh->required || api::find_ssh(spec_, ssh->id) != nullptr) continue;
      return of_step(stage, step, reason::kNotFound,
                     "RUN --mount=type=ssh requires the key " + in_quotes(ssh->id) +
                         ", which was not given; name a Secret for it in the spec.ssh of the ImageBuild");
    }
    return {};
  }

  // The pods of a build share a claim for one node, so stages of two architectures cannot all run.
  std::optional<Misfit> one_node() const {
    if (!api::on_one_node(spec_)) return {};
    const api::PlanStage* first = nullptr;
    for (const api::PlanStage& stage : plan_.stages) {
      if (!stage.needs_container || node_architecture(stage.platform).empty()) continue;
      if (first == nullptr) first = &stage;
      if (node_architecture(stage.platform) == node_architecture(first->platform)) continue;
      return of_stage(stage, "stage " + in_quotes(stage.name) + " needs a node for " + stage.platform + " and stage " +
                                 in_quotes(first->name) + " one for " + first->platform +
                                 ", but the artifact claim can be mounted on one node only; put ReadWriteMany into "
                                 "spec.artifacts.volume.accessModes, or set spec.artifacts.transport to Registry");
    }
    return {};
  }

  const api::Plan& plan_;
  const api::ImageBuildSpec& spec_;
};

}  // namespace

std::optional<Misfit> find_misfit(const api::Plan& plan, const api::ImageBuildSpec& spec) {
  return Fitting(plan, spec).run();
}

std::vector<api::Warning> cluster_warnings(const api::Plan& plan, const api::ImageBuildSpec& spec) {
  if (spec.cache_mounts.claim) return {};
  for (const api::PlanStage& stage : plan.stages) {
    if (!stage.needs_container) continue;
    for (const api::Step& step : stage.steps) {
      const auto* run = std::get_if<api::RunStep>(&step.action);
      if (run == nullptr) continue;
      const bool caches = std::ranges::any_of(
          run->mounts, [](const api::Mount& mount) { return std::holds_alternative<api::CacheMount>(mount); });
      if (!caches) continue;
      return {
          {"",
           "the caches of RUN --mount=type=cache begin empty in each build, for the ImageBuild has no place for them; "
           "name a claim in spec.cacheMounts.persistentVolumeClaim to keep them",
           step.at}};
    }
  }
  return {};
}

std::string node_architecture(const std::string& platform) {
  const auto slash = platform.find('/');
  if (slash == std::string::npos) return {};
  const std::string rest = platform.substr(slash + 1);
  return rest.substr(0, rest.find('/'));
}

std::vector<std::string> node_architectures(const api::Plan& plan) {
  std::set<std::string> found;
  for (const api::PlanStage& stage : plan.stages) {
    if (stage.needs_container) found.insert(node_architecture(stage.platform));
  }
  found.erase("");
  return {found.begin(), found.end()};
}

}  // namespace imagebuild::build
