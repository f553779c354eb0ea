#include "build/reconciler.h"

#include <algorithm>

#include "api/reasons.h"
#include "build/reconcile_names.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;

}  // namespace

const Claim* Reconciler::claim() const {
  const auto found = std::ranges::find(observed_.claims, generation(), &Claim::generation);
  return found == observed_.claims.end() ? nullptr : &*found;
}

// Without its claim, all that a build has done is lost.
void Reconciler::check_claim() {
  const bool wanted = uses_claim() && next_.prepare.phase == WorkPhase::kSucceeded;
  const Claim* own = claim();
  claim_broken_ = uses_claim() && own != nullptr && (own->deleting || own->lost);
  if (!wanted || (own != nullptr && !claim_broken_)) return;
  ++next_.prepare.retries;
  forget_attempt(next_.prepare, reason::kInfrastructure, now_);
  if (next_.prepare.retries > retries() && !spec_.cancel) {
    next_.prepare.phase = WorkPhase::kFailed;
    fail("prepare", reason::kRetriesExhausted, "the artifact claim was lost");
  }
  redo_stages();
}

void Reconciler::redo_stages() {
  for (api::StageStatus& stage : next_.stages) {
    if (stage.work.phase == WorkPhase::kWaiting) continue;
    forget_attempt(stage.work, reason::kInfrastructure, now_);
    stage.cached = false;
    stage.changed.clear();
  }
  if (next_.publish.phase != WorkPhase::kWaiting) forget_attempt(next_.publish, reason::kInfrastructure, now_);
}

// A scheduler that meets a pod whose claim has no volume yet puts it off for a second or more. Where the volume comes
// by itself, the first pod is made when it is there; if that takes long, the pod is made to let the scheduler say why.
bool Reconciler::waits_for_volume() {
  if (!uses_claim() || !observed_.claim_binds_at_once) return false;
  const Claim* own = claim();
  if (own != nullptr && own->bound) return false;
  const WallTime until = next_.start_time.value_or(now_) + kVolumePatience;
  if (now_ >= until) return false;
  again_at(until);
  return true;
}

void Reconciler::wait_for_claim() {
  for (const Pod& pod : observed_.pods) {
    if (is_current(pod)) remove(pod);
  }
  if (const Claim* own = claim()) remove(*own);
  going_on(reason::kRetrying, "the artifact claim is being deleted; the build begins anew with another");
  next_.phase = BuildPhase::kPreparing;
}

}  // namespace imagebuild::build
