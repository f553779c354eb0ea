#include "build/reconciler.h"

#include <algorithm>

#include "api/reasons.h"
#include "api/validate_values.h"
#include "base/timestamp.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;

// A node that does not answer has none of the build's pods any more.
bool is_lost(const Pod& pod, WallTime now) {
  return pod.deletion && now >= *pod.deletion + kLostAfterGrace;
}

bool is_on_node(const Pod& pod, WallTime now) {
  return pod.active() && !is_lost(pod, now) && (!pod.node.empty() || pod.phase == PodPhase::kRunning);
}

bool is_for_place(const Waiting& waiting) {
  return waiting.reason == reason::kUnschedulable || waiting.reason == reason::kQuota;
}

}  // namespace

// A full cluster or namespace fails no build: while nothing of it is on a node and a pod of it waits for a node, or for
// room in a quota, spec.timeout does not count. The status remembers that, for pods come and go.
void Reconciler::note_wait() {
  const auto waiting = waiting_reason();
  const bool for_place = waiting && is_for_place(*waiting);
  if (next_.waiting_since) {
    if (const auto placed = placed_after(*next_.waiting_since)) {
      end_wait(*placed);
    } else if (waiting && !for_place) {
      end_wait(now_);
    }
  }
  if (next_.waiting_since || !for_place) return;
  const auto on_node = [&](const Pod& pod) { return is_current(pod) && is_on_node(pod, now_); };
  if (std::ranges::any_of(observed_.pods, on_node)) return;
  next_.waiting_since = waiting->reason == reason::kQuota ? now_ : begin_of_wait();
}

// The scheduler's word is news only after a while: since then, whatever happened last.
WallTime Reconciler::begin_of_wait() const {
  WallTime last = *next_.start_time;
  const auto happened = [&](std::optional<WallTime> when) {
    if (when && *when <= now_) last = std::max(last, *when);
  };
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod)) continue;
    if (pod.node.empty() && pod.active()) happened(pod.created);
    if (is_lost(pod, now_)) happened(*pod.deletion + kLostAfterGrace);
    happened(pod.finished);
  }
  happened(next_.prepare.completion_time);
  for (const api::StageStatus& stage : next_.stages) happened(stage.work.completion_time);
  happened(next_.publish.completion_time);
  return last;
}

// When the first pod got a node after `since`, which nobody may have seen then.
std::optional<WallTime> Reconciler::placed_after(WallTime since) const {
  std::optional<WallTime> first;
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod)) continue;
    const bool now_there = is_on_node(pod, now_);
    const WallTime at = pod.scheduled.value_or(now_there ? now_ : since);
    if (!now_there && (pod.node.empty() || at <= since)) continue;
    first = std::min(first.value_or(now_), std::clamp(at, since, std::max(since, now_)));
  }
  return first;
}

void Reconciler::end_wait(WallTime when) {
  const auto more = std::chrono::duration_cast<std::chrono::seconds>(when - *next_.waiting_since);
  const auto all = std::chrono::duration_cast<std::chrono::seconds>(waited()) + more;
  next_.waiting_since.reset();
  if (all.count() > 0) next_.waited = duration_text(all);
}

std::chrono::milliseconds Reconciler::waited() const {
  const auto known = next_.waited.empty() ? std::nullopt : api::parse_duration(next_.waited);
  return known.value_or(std::chrono::milliseconds(0));
}

}  // namespace imagebuild::build
