#include "build/reconciler.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "api/reasons.h"
#include "api/validate_values.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;
using api::WorkStatus;
using std::chrono::milliseconds;

std::optional<milliseconds> limit(const std::string& text) {
  return text.empty() ? std::nullopt : api::parse_duration(text);
}

// What we end ourselves is not lost.
void interrupt(WorkStatus& status, WorkPhase phase) {
  if (status.phase != WorkPhase::kPending && status.phase != WorkPhase::kRunning) return;
  status.phase = phase;
  status.reason.clear();
}

}  // namespace

// Its clock stands still while the build waits for a place.
bool Reconciler::build_past() {
  if (next_.waiting_since) return false;
  const std::string text = spec_.timeout.empty() ? api::kDefaultTimeout : spec_.timeout;
  const WallTime deadline = *next_.start_time + limit(text).value_or(milliseconds(0)) + waited();
  if (now_ < deadline) {
    again_at(deadline);
    return false;
  }
  std::string message = "the build did not end within " + text;
  if (!next_.waited.empty()) message += ", without the " + next_.waited + " in which it waited for a node or a quota";
  if (const auto waiting = waiting_reason()) message += "; it waited: " + waiting->message;
  fail("", reason::kDeadlineExceeded, message);
  return true;
}

bool Reconciler::past_deadline() {
  if (build_past()) return true;
  const auto stage_limit = limit(spec_.stage_timeout);
  if (!stage_limit) return false;
  if (pod_past(prepare_, next_.prepare, "prepare", {}, *stage_limit)) return true;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (stage_past(i, *stage_limit)) return true;
  }
  return publish_past(*stage_limit);
}

// A pod may have been made to wait for stages, whose time is their own.
bool Reconciler::stage_past(std::size_t stage, milliseconds stage_limit) {
  if (places_[stage] != Place::kPod || !needs_done(stage)) return false;
  api::StageStatus& status = next_.stages[stage];
  return pod_past(stages_[stage], status.work, status.name, end_of(needs_of_stage(stage)), stage_limit);
}

bool Reconciler::publish_past(milliseconds stage_limit) {
  if (!planned() || !stages_done()) return false;
  std::vector<std::size_t> all(next_.stages.size());
  std::iota(all.begin(), all.end(), 0U);
  return pod_past(publish_, next_.publish, "publish", end_of(all), stage_limit);
}

// The start of time where none of them had a pod.
WallTime Reconciler::end_of(const std::vector<std::size_t>& stages) const {
  WallTime last{};
  for (const std::size_t i : stages) last = std::max(last, next_.stages[i].work.completion_time.value_or(last));
  return last;
}

bool Reconciler::pod_past(const Followed& followed, WorkStatus& status, const std::string& name, WallTime needs_end,
                          milliseconds stage_limit) {
  if (followed.pod == nullptr || (status.phase != WorkPhase::kPending && status.phase != WorkPhase::kRunning)) {
    return false;
  }
  if (followed.pod->node.empty() && status.phase == WorkPhase::kPending) return false;  // Its time begins on a node.
  const WallTime deadline = std::max(followed.pod->scheduled.value_or(followed.pod->created), needs_end) + stage_limit;
  if (now_ < deadline) {
    again_at(deadline);
    return false;
  }
  std::string message = "its pod did not end within " + spec_.stage_timeout;
  if (const auto waiting = waiting_for(*followed.pod, now_)) message += "; it waited: " + waiting->message;
  status.phase = WorkPhase::kFailed;
  status.reason = reason::kStageDeadlineExceeded;
  status.completion_time = now_;
  fail(name, reason::kStageDeadlineExceeded, message);
  return true;
}

// Deletes what runs; whether any pod may still do something.
bool Reconciler::stop_pods() {
  bool busy = false;
  for (const Pod& pod : observed_.pods) {
    if (!is_current(pod) || !pod.active()) continue;
    if (pod.deletion && now_ >= *pod.deletion + kLostAfterGrace) continue;
    busy = true;
    remove(pod);
    if (pod.deletion) again_at(*pod.deletion + kLostAfterGrace);
  }
  return busy;
}

void Reconciler::suspend() {
  stop_pods();
  interrupt(next_.prepare, WorkPhase::kWaiting);
  for (api::StageStatus& stage : next_.stages) interrupt(stage.work, WorkPhase::kWaiting);
  interrupt(next_.publish, WorkPhase::kWaiting);
  next_.waiting_since.reset();
  next_.phase = BuildPhase::kSuspended;
  set_conditions(next_, {Situation::Kind::kSuspended, reason::kSuspended, "spec.suspend is set"}, now_);
}

void Reconciler::cancel() {
  interrupt(next_.prepare, WorkPhase::kCancelled);
  const bool publish_waits = planned() && !stages_done();
  for (api::StageStatus& stage : next_.stages) interrupt(stage.work, WorkPhase::kCancelled);
  if (publish_waits) interrupt(next_.publish, WorkPhase::kCancelled);
  if (stop_pods()) return going_on(reason::kCancelling, "the pods of the build are ending");
  end(BuildPhase::kCancelled, {Situation::Kind::kFailed, reason::kCancelled, "spec.cancel is set"});
}

}  // namespace imagebuild::build
