#include "build/reconciler.h"

#include <algorithm>
#include <optional>

#include "api/image_build_references.h"
#include "api/reasons.h"
#include "build/cluster_fit.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;

Waiting waiting_for_missing(const api::Reference& missing) {
  using Kind = api::Reference::Kind;
  const std::string name = "'" + missing.name + "'";
  const std::string rest = missing.key.empty() ? " does not exist" : " has no key '" + missing.key + "'";
  switch (missing.kind) {
    case Kind::kSecret:
      return {reason::kMissingSecret, "the Secret " + name + rest};
    case Kind::kConfigMap:
      return {reason::kMissingConfigMap, "the ConfigMap " + name + rest};
    case Kind::kClaim:
      return {reason::kMissingClaim, "the PersistentVolumeClaim " + name + rest};
    case Kind::kStorageClass:
      if (missing.name.empty()) return {reason::kMissingStorageClass, "the cluster has no default StorageClass"};
      return {reason::kMissingStorageClass, "the StorageClass " + name + rest};
  }
  return {};
}

}  // namespace

bool Reconciler::refused_for_good() {
  for (const Refusal& refusal : observed_.refusals) {
    if (refusal.kind != Refusal::Kind::kInvalid || !wants(refusal.object)) continue;
    fail("", reason::kInvalidPod, refusal.message);
    return true;
  }
  return false;
}

// Whether an action of this decision makes that object.
bool Reconciler::wants(const std::string& object) const {
  return std::ranges::any_of(actions_, [&](const Action& action) {
    const auto* pod = std::get_if<CreatePod>(&action);
    const auto* claim = std::get_if<CreateClaim>(&action);
    return (pod != nullptr && pod->name == object) || (claim != nullptr && claim->name == object);
  });
}

std::optional<Waiting> Reconciler::waiting_reason() const {
  for (const api::Reference& missing : observed_.missing) return waiting_for_missing(missing);
  for (const Refusal& refusal : observed_.refusals) {
    if (!wants(refusal.object)) continue;
    const char* why = refusal.kind == Refusal::Kind::kQuota       ? reason::kQuota
                      : refusal.kind == Refusal::Kind::kForbidden ? reason::kForbidden
                                                                  : reason::kServerUnavailable;
    return Waiting{why, refusal.message};
  }
  for (const Followed* followed : all_followed()) {
    if (followed->pod == nullptr) continue;
    if (waits_for_stages(*followed)) continue;  // Nobody waits for it yet.
    auto waiting = waiting_for(*followed->pod, now_);
    if (!waiting) continue;
    if (waiting->reason == reason::kUnschedulable) waiting->message = needs_of(followed->pod->work) + waiting->message;
    return waiting;
  }
  return {};
}

bool Reconciler::waits_for_stages(const Followed& followed) const {
  if (!planned() || followed.pod->work.role == PodRole::kPrepare) return false;
  if (followed.pod->work.role == PodRole::kPublish) return !stages_done();
  return !needs_done(static_cast<std::size_t>(followed.pod->work.stage));
}

// What the scheduler does not say of a stage's pod: which architecture its node must have. "" where any will do.
std::string Reconciler::needs_of(const Work& work) const {
  if (work.role != PodRole::kStage || !planned()) return {};
  const auto i = static_cast<std::size_t>(work.stage);
  if (i >= observed_.plan->stages.size() || !observed_.plan->stages[i].needs_container) return {};
  const api::PlanStage& stage = observed_.plan->stages[i];
  const std::string architecture = node_architecture(stage.platform);
  if (architecture.empty()) return {};
  return "stage '" + stage.name + "' needs a node with kubernetes.io/arch=" + architecture + ": ";
}

std::vector<const Followed*> Reconciler::all_followed() const {
  std::vector<const Followed*> all{&prepare_};
  for (const Followed& stage : stages_) all.push_back(&stage);
  all.push_back(&publish_);
  return all;
}

}  // namespace imagebuild::build
