#include "build/reconciler.h"

#include <algorithm>

#include "api/reasons.h"
#include "build/reconcile_names.h"
#include "build/schedule.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;
using api::WorkStatus;

}  // namespace

// Whether the build is under way; it may have to queue.
bool Reconciler::begin() {
  if (before_.phase == BuildPhase::kSuspended && next_.start_time) {
    next_.start_time = now_;
    next_.waited.clear();
  }
  if (next_.start_time) return true;
  if (observed_.slot_free) {
    next_.start_time = now_;
    return true;
  }
  next_.phase = BuildPhase::kPending;
  going_on(reason::kQueued, "the operator runs as many builds as it may");
  again_in(kLookAgain);
  return false;
}

void Reconciler::start_what_can_start() {
  if (!observed_.missing.empty()) return again_in(kLookAgain);
  if (uses_claim() && claim() == nullptr) act(CreateClaim{claim_name(build_, generation()), generation()});
  if (!planned()) {
    // It may find the image in its place: what an earlier build still pushes would have to be there by then.
    const bool may_find_image = api::uses_cache(spec_.cache);
    if (!waits_for_volume() && (!may_find_image || is_alone()))
      start(Work{PodRole::kPrepare, 0}, prepare_, next_.prepare);
    return;
  }
  std::vector<StageState> states;
  for (std::size_t i = 0; i < places_.size(); ++i) states.push_back(state_of(i));
  for (const int stage : ready_stages(*observed_.plan, states)) {
    const auto i = static_cast<std::size_t>(stage);
    start(Work{PodRole::kStage, stage}, stages_[i], next_.stages[i].work);
  }
  start_publish();
  start_ahead();
  // Nothing waits for it.
  if (!observed_.plan_recorded) act(RecordPlan{record_name(build_, generation()), generation()});
}

// An earlier build that still pushes could push after this one.
bool Reconciler::is_alone() const {
  return std::ranges::none_of(observed_.pods, [&](const Pod& pod) {
    return !is_current(pod) && pod.work.role == PodRole::kPublish && pod.active();
  });
}

void Reconciler::start_publish() {
  if (stages_done() && is_alone()) start(Work{PodRole::kPublish, 0}, publish_, next_.publish);
}

StageState Reconciler::state_of(std::size_t i) const {
  if (places_[i] == Place::kPublish && !next_.stages[i].cached) return StageState::kRunning;  // No pod needs it.
  switch (next_.stages[i].work.phase) {
    case WorkPhase::kWaiting:
      return StageState::kWaiting;
    case WorkPhase::kPending:
    case WorkPhase::kRunning:
      return StageState::kRunning;
    case WorkPhase::kSucceeded:
      return StageState::kDone;
    case WorkPhase::kFailed:
    case WorkPhase::kCancelled:
      return StageState::kFailed;
  }
  return StageState::kFailed;
}

bool Reconciler::stages_done() const {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] != Place::kPublish && next_.stages[i].work.phase != WorkPhase::kSucceeded) return false;
  }
  return true;
}

void Reconciler::start(const Work& work, const Followed& followed, const WorkStatus& status, bool early) {
  if (!followed.may_start) return;
  if (followed.not_before && now_ < *followed.not_before) {
    retry_pending_ = true;
    return again_at(*followed.not_before);
  }
  const std::int64_t attempt = status.attempts + 1;
  act(CreatePod{pod_name(build_, generation(), work, attempt), generation(), work, static_cast<int>(attempt),
                node_for(status), early});
}

// With a claim for one node, all pods follow the one that has it: a pod elsewhere would wait for the volume. An
// attempt after a loss may go elsewhere, for the node may be what was lost.
std::string Reconciler::node_for(const WorkStatus& status) const {
  if (!api::on_one_node(spec_) || !status.reason.empty()) return {};
  const Pod* best = nullptr;
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod) || pod.node.empty() || pod.deletion || pod.phase == PodPhase::kFailed) continue;
    if (best == nullptr || pod.active() > best->active() ||
        (pod.active() == best->active() && pod.created > best->created)) {
      best = &pod;
    }
  }
  return best == nullptr ? "" : best->node;
}

}  // namespace imagebuild::build
