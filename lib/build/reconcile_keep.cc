#include <algorithm>
#include <string>

#include "api/told.h"
#include "build/placement.h"
#include "build/reconcile_names.h"
#include "build/reconciler.h"

namespace imagebuild::build {

namespace {

using api::BuildPhase;
using api::WorkPhase;

// How long after a build's end its pods may take to end, and how long its results may take to be kept.
constexpr std::chrono::seconds kKeepPatience{120}, kKeepLimit{600};
constexpr const char* kNotKept = "what the build made is not kept for the next one: ";

const Work kKeepWork{PodRole::kKeep, 0};

bool changes_files(const api::Step& step) {
  return !std::holds_alternative<api::MetadataStep>(step.action);
}

// Whether a step before `step` left a layer for a cache.
bool has_steps_before(const api::PlanStage& stage, std::size_t step) {
  const std::size_t end = std::min({step, stage.steps.size(), api::steps_with_layers(stage)});
  return std::any_of(stage.steps.begin(), stage.steps.begin() + static_cast<std::ptrdiff_t>(end), changes_files);
}

// Whether the stage's own process says, or said, at which step it ended; else nobody knows who wrote what is on the
// volume. Of a pod that was stopped and is gone, nothing else is to be expected.
bool ended_in_order(const api::WorkStatus& status, const std::vector<Pod>& pods) {
  const bool was_stopped = status.phase == WorkPhase::kCancelled;
  if (!was_stopped && status.phase != WorkPhase::kFailed) return false;
  const auto pod = std::ranges::find(pods, status.pod, &Pod::name);
  if (pod == pods.end()) return was_stopped;
  return (pod->told && pod->told->failure) || (was_stopped && pod->active());
}

}  // namespace

// Whether the volume is still needed, to put into the cache what the stages of a build made that failed or was
// cancelled. The build has ended by then: nobody waits for it.
bool Reconciler::keeps_results() {
  const bool came_to_its_end = next_.phase == BuildPhase::kSucceeded;
  if (came_to_its_end || !uses_claim() || !api::uses_cache(spec_.cache) || !planned()) return false;
  const Claim* own = claim();
  if (own == nullptr || own->deleting || own->lost) return false;
  for (const Pod& pod : observed_.pods) {
    if (is_current(pod) && pod.work.role == PodRole::kKeep) return still_keeps(pod);
  }
  return start_keeping();
}

// A pod that keeps results is not tried again: the next build can do without.
bool Reconciler::still_keeps(const Pod& pod) {
  const WallTime end = pod.created + kKeepLimit;
  if (pod.active() && !pod.deletion && now_ < end) {
    again_at(end);
    return true;
  }
  note_not_kept(pod);
  return false;
}

bool Reconciler::start_keeping() {
  const WallTime end = next_.completion_time.value_or(now_) + kKeepPatience;
  if (now_ >= end) return false;
  const std::vector<int> stages = worth_keeping();
  if (stages.empty()) return false;
  again_at(end);
  // A publish that waited for them, and takes its time to go, writes to none of these stages.
  const bool others_write = std::ranges::any_of(observed_.pods, [&](const Pod& pod) {
    const bool told_end = pod.told && pod.told->is_end();
    return is_current(pod) && pod.work.role == PodRole::kStage && pod.active() && !told_end;
  });
  if (!others_write) {
    act(CreatePod{pod_name(build_, generation(), kKeepWork, 1), generation(), kKeepWork, 1, node_for({}), false,
                  stages});
  }
  return true;
}

// The stages that are done, and those that got somewhere; none where a cache would learn nothing from a pod's work.
std::vector<int> Reconciler::worth_keeping() const {
  const std::vector<api::PlanStage>& stages = observed_.plan->stages;
  const std::vector<Place> places = place_stages(*observed_.plan);
  std::vector<int> result;
  bool is_worth_a_pod = false;
  for (std::size_t i = 0; i < stages.size() && i < next_.stages.size(); ++i) {
    const api::StageStatus& status = next_.stages[i];
    if (status.cached) continue;
    const bool is_done = status.work.phase == WorkPhase::kSucceeded;
    // StageStatus::step counts from 1.
    const bool got_somewhere = places[i] == Place::kPod && status.step > 1 &&
                               ended_in_order(status.work, observed_.pods) &&
                               has_steps_before(stages[i], static_cast<std::size_t>(status.step) - 1);
    if (!is_done && !got_somewhere && places[i] != Place::kPublish) continue;
    is_worth_a_pod = is_worth_a_pod || places[i] == Place::kPod;
    result.push_back(static_cast<int>(i));
  }
  if (!is_worth_a_pod) result.clear();
  return result;
}

// What went wrong is worth a warning, no more.
void Reconciler::note_not_kept(const Pod& pod) {
  const auto warn = [&](const std::string& text) {
    api::WarningStatus warning{.message = api::shortened(text, api::kMaxMessageBytes)};
    const bool known = std::ranges::find(next_.warnings, warning) != next_.warnings.end();
    if (!known && next_.warnings.size() < api::kMaxWarnings) next_.warnings.push_back(std::move(warning));
  };
  if (pod.told) {
    for (const api::Warning& warning : pod.told->warnings) warn(warning.message);
  }
  if (pod.told && pod.told->failure) return warn(kNotKept + pod.told->failure->message);
  if (pod.phase == PodPhase::kFailed) warn(kNotKept + (pod.message.empty() ? "its pod failed" : pod.message));
  if (pod.active() && !pod.deletion) warn(std::string(kNotKept) + "its pod did not end in time");
}

// As long as the volume is there, only its pod tells that the results were kept.
bool Reconciler::proves_keeping(const Pod& pod) const {
  const Claim* own = claim();
  return !pod.active() && own != nullptr && !own->deleting;
}

}  // namespace imagebuild::build
