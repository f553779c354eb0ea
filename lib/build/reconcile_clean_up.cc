#include "build/reconciler.h"

#include <algorithm>
#include <chrono>

#include "build/reconcile_names.h"

namespace imagebuild::build {

namespace {

using api::BuildPhase;

constexpr std::chrono::seconds kEndingPatience{10};

}  // namespace

void Reconciler::sweep_earlier_builds() {
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod)) remove(pod);
  }
  for (const Claim& claim : observed_.claims) {
    if (claim.generation != generation()) remove(claim);
  }
  const std::string own = record_name(build_, generation());
  for (const std::string& record : observed_.records) {
    if (record != own) act(DeleteRecord{record});
  }
}

// It told the end of its work, and its process ends in this moment: a kubelet that is to kill a container just then
// leaves the pod in Terminating for a minute.
bool Reconciler::is_ending(const Pod& pod) const {
  const bool told_end = pod.told && pod.told->is_end();
  return told_end && pod.active() && now_ < next_.completion_time.value_or(now_) + kEndingPatience;
}

// Nothing runs on; what failed is kept for a while, to look into it.
void Reconciler::clean_up() {
  // The end must be in the API server before the pods that prove it go.
  const bool written = is_finished(build_.status) && build_.status.build == next_.build;
  const auto ttl = std::chrono::seconds(spec_.ttl_seconds_after_finished.value_or(api::kDefaultTtlSeconds));
  const WallTime keep_until = next_.completion_time.value_or(now_) + ttl;
  const bool busy = written && keeps_results();
  const bool keep = busy || (next_.phase == BuildPhase::kFailed && now_ < keep_until);
  bool anything = false;
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod)) continue;
    anything = true;
    if (pod.work.role == PodRole::kKeep && (busy || proves_keeping(pod))) continue;
    if (is_ending(pod)) {
      again_at(next_.completion_time.value_or(now_) + kEndingPatience);
    } else if (pod.active() || (written && !keep)) {
      remove(pod);
    }
  }
  for (const Claim& claim : observed_.claims) {
    if (claim.generation != generation()) continue;
    anything = true;
    if (written && !keep) remove(claim);
  }
  const std::string record = record_name(build_, generation());
  const bool recorded = std::ranges::find(observed_.records, record) != observed_.records.end();
  if (recorded && written && !keep) act(DeleteRecord{record});
  if (keep && !busy && (anything || recorded)) again_at(keep_until);
}

void Reconciler::remove(const Pod& pod) {
  const bool asked = std::ranges::find(actions_, Action(DeletePod{pod.name})) != actions_.end();
  if (!pod.deletion && !asked) act(DeletePod{pod.name});
}

void Reconciler::remove(const Claim& claim) {
  if (!claim.deleting) act(DeleteClaim{claim.name});
}

}  // namespace imagebuild::build
