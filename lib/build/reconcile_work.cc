#include "build/reconcile_work.h"

#include <algorithm>

#include "api/reasons.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::WorkPhase;
using api::WorkStatus;
using Kind = Verdict::Kind;

bool was_lost(const WorkStatus& status) {
  const reason::Reason* why = reason::find(status.reason);
  return status.phase == WorkPhase::kWaiting && why != nullptr && why->kind == reason::Kind::kLost;
}

void count_loss(WorkStatus& status, const std::string& why, std::int64_t budget, WallTime when) {
  ++status.retries;
  status.completion_time = when;
  status.reason = why;
  status.phase = WorkPhase::kWaiting;
  if (status.retries <= budget) return;
  status.phase = WorkPhase::kFailed;
  status.reason = reason::kRetriesExhausted;
}

std::chrono::seconds delay_after(std::int64_t retries) {
  std::chrono::seconds delay = kFirstRetryDelay;
  for (std::int64_t i = 1; i < retries && delay < kLongestRetryDelay; ++i) delay *= 2;
  return std::min(delay, kLongestRetryDelay);
}

const Pod* latest(const Work& work, const std::vector<Pod>& pods, std::int64_t generation) {
  const Pod* found = nullptr;
  for (const Pod& pod : pods) {
    if (pod.generation != generation || pod.work != work) continue;
    if (found == nullptr || pod.attempt > found->attempt) found = &pod;
  }
  return found;
}

void take_over(WorkStatus& status, const Pod& pod) {
  status.pod = pod.name;
  if (!pod.node.empty()) status.node = pod.node;
  status.attempts = std::max<std::int64_t>(status.attempts, pod.attempt);
  if (!status.start_time) status.start_time = pod.created;
  status.completion_time.reset();
  status.reason.clear();
}

}  // namespace

void forget_attempt(WorkStatus& status, const char* why, WallTime now) {
  status.phase = WorkPhase::kWaiting;
  status.reason = why;
  status.completion_time = now;
}

Followed follow(const Work& work, WorkStatus& status, const std::vector<Pod>& pods, const FollowOptions& options,
                WallTime now) {
  Followed result;
  if (status.phase == WorkPhase::kFailed || status.phase == WorkPhase::kCancelled) return result;
  const Pod* pod = latest(work, pods, options.generation);
  const bool remembered = status.phase == WorkPhase::kSucceeded && (!options.needs_outcome || options.outcome_known);
  if (remembered) {
    result.pod = pod;
    result.verdict.kind = Kind::kDone;
    return result;
  }
  if (pod == nullptr) {
    // Only a pod that was seen is in the status: this one is gone.
    if (status.phase != WorkPhase::kWaiting) count_loss(status, reason::kPodLost, options.retries, now);
    result.may_start = status.phase == WorkPhase::kWaiting;
  } else if (pod->name == status.pod && status.phase == WorkPhase::kWaiting) {
    // Given up already: by a loss that was counted, or by us. It must not write beside its successor.
    result.may_start = !pod->active() || (pod->deletion && now >= *pod->deletion + kLostAfterGrace);
  } else {
    result.pod = pod;
    result.verdict = judge(*pod, options.needs_outcome, options.outcome_known, now);
    take_over(status, *pod);
    switch (result.verdict.kind) {
      case Kind::kPending:
        status.phase = WorkPhase::kPending;
        if (const auto waiting = waiting_for(*pod, now)) status.reason = waiting->reason;
        break;
      case Kind::kRunning:
      case Kind::kEnding:
      case Kind::kUntold:
        status.phase = WorkPhase::kRunning;
        break;
      case Kind::kDone:
        status.phase = WorkPhase::kSucceeded;
        status.completion_time = pod->finished.value_or(now);
        break;
      case Kind::kFailed:
        status.phase = WorkPhase::kFailed;
        status.reason = result.verdict.reason;
        status.completion_time = pod->finished.value_or(now);
        break;
      case Kind::kLost:
        count_loss(status, result.verdict.reason, options.retries, pod->finished.value_or(now));
        result.may_start = status.phase == WorkPhase::kWaiting && (!pod->active() || pod->deletion);
        break;
    }
  }
  if (result.may_start && was_lost(status) && status.completion_time && status.retries > 0) {
    result.not_before = *status.completion_time + delay_after(status.retries);
  }
  return result;
}

}  // namespace imagebuild::build
