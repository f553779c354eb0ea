#include "build/reconcile_report.h"

#include <algorithm>
#include <map>

#include "api/reasons.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::Condition;
using api::ConditionStatus;
using api::WorkPhase;

void set(std::vector<Condition>& to, const api::ImageBuildStatus& from, const char* type, ConditionStatus value,
         const Situation& why, WallTime now) {
  const Condition* before = api::find_condition(from, type);
  const bool same = before != nullptr && before->status == value && before->last_transition_time;
  to.push_back(Condition{.type = type,
                         .status = value,
                         .observed_generation = from.observed_generation,
                         .last_transition_time = same ? before->last_transition_time : std::optional(now),
                         .reason = why.reason,
                         .message = api::shortened(why.message, api::kMaxMessageBytes)});
}

std::string reason_of(const api::ImageBuildStatus& status) {
  const Condition* ready = api::find_condition(status, api::kReadyCondition);
  return ready == nullptr ? "" : ready->reason;
}
std::string message_of(const api::ImageBuildStatus& status) {
  const Condition* ready = api::find_condition(status, api::kReadyCondition);
  return ready == nullptr ? "" : ready->message;
}

class Narrator {
 public:
  Narrator(const api::ImageBuildStatus& before, const api::ImageBuildStatus& after) : before_(before), after_(after) {}

  std::vector<EmitEvent> run() {
    beginning();
    work("prepare", before_.prepare, after_.prepare);
    if (changed_to(WorkPhase::kSucceeded, before_.prepare, after_.prepare)) {
      say(reason::kPrepared, "the Dockerfile is solved: " + std::to_string(after_.stages.size()) + " stages");
    }
    for (const api::StageStatus& stage : after_.stages) one_stage(stage);
    work("publish", before_.publish, after_.publish);
    waiting();
    ending();
    return std::move(events_);
  }

 private:
  void say(const char* why, std::string note) { events_.push_back(EmitEvent{false, why, std::move(note)}); }
  void warn(const char* why, std::string note) { events_.push_back(EmitEvent{true, why, std::move(note)}); }
  static bool changed_to(WorkPhase phase, const api::WorkStatus& before, const api::WorkStatus& after) {
    return before.phase != phase && after.phase == phase;
  }

  void beginning() {
    if (!before_.start_time && after_.start_time) say(reason::kBuildStarted, "the build started");
    const bool was = before_.phase == BuildPhase::kSuspended, is = after_.phase == BuildPhase::kSuspended;
    if (!was && is) say(reason::kBuildSuspended, "the build is suspended");
    if (was && !is && !is_finished(after_)) say(reason::kBuildResumed, "the build goes on");
  }

  void work(const std::string& name, const api::WorkStatus& before, const api::WorkStatus& after) {
    if (after.retries > before.retries) {
      const bool last = after.reason == reason::kRetriesExhausted;
      warn(reason::kAttemptLost, name + ": pod " + after.pod + " was lost" +
                                     (last ? ", and there are no retries left" : ": " + after.reason));
    }
  }

  void one_stage(const api::StageStatus& stage) {
    static const api::StageStatus kNew;
    const auto found = std::ranges::find(before_.stages, stage.name, &api::StageStatus::name);
    const api::WorkStatus& before = found == before_.stages.end() ? kNew.work : found->work;
    const std::string name = "stage '" + stage.name + "'";
    work(name, before, stage.work);
    if (changed_to(WorkPhase::kRunning, before, stage.work)) {
      say(reason::kStageStarted, name + " runs" + (stage.changed.empty() ? "" : ": " + stage.changed));
    }
    if (changed_to(WorkPhase::kSucceeded, before, stage.work)) {
      say(reason::kStageSucceeded, name + (stage.cached ? " is known from an earlier build" : " is done"));
    }
    if (changed_to(WorkPhase::kFailed, before, stage.work)) {
      warn(reason::kStageFailed, name + " failed: " + stage.work.reason);
    }
  }

  void waiting() {
    const reason::Reason* now = reason::find(reason_of(after_));
    if (now == nullptr || now->kind != reason::Kind::kWaiting || reason_of(before_) == now->name) return;
    warn(reason::kBuildWaiting, std::string(now->name) + ": " + message_of(after_));
  }

  // "3 warnings: JSONArgsRecommended (2), others (1); …": those that no rule makes last.
  void warnings() {
    if (after_.warnings.empty()) return;
    std::map<std::string, int> counts;
    for (const api::WarningStatus& warning : after_.warnings) ++counts[warning.rule];
    std::string list;
    const auto count = [&](const std::string& name, int number) {
      list += (list.empty() ? "" : ", ") + name + " (" + std::to_string(number) + ")";
    };
    for (const auto& [rule, number] : counts) {
      if (!rule.empty()) count(rule, number);
    }
    if (counts.contains("")) count("others", counts.at(""));
    const std::size_t all = after_.warnings.size();
    warn(reason::kBuildWarnings, std::to_string(all) + (all == 1 ? " warning: " : " warnings: ") +
                                     api::shortened(list, api::kMaxMessageBytes / 2) + "; status.warnings has them");
  }

  void ending() {
    if (before_.phase == after_.phase) return;
    if (is_finished(after_)) warnings();
    if (after_.phase == BuildPhase::kSucceeded) say(reason::kBuildSucceeded, message_of(after_));
    if (after_.phase == BuildPhase::kCancelled) say(reason::kBuildCancelled, message_of(after_));
    if (after_.phase == BuildPhase::kFailed) {
      warn(reason::kBuildFailed, reason_of(after_) + ": " + message_of(after_));
    }
  }

  const api::ImageBuildStatus& before_;
  const api::ImageBuildStatus& after_;
  std::vector<EmitEvent> events_;
};

}  // namespace

void set_conditions(api::ImageBuildStatus& status, const Situation& situation, WallTime now) {
  using enum ConditionStatus;
  const bool going_on = situation.kind == Situation::Kind::kGoingOn;
  const bool failed = situation.kind == Situation::Kind::kFailed;
  const bool succeeded = situation.kind == Situation::Kind::kSucceeded;
  std::vector<Condition> conditions;  // In the order of their types.
  set(conditions, status, api::kReadyCondition, succeeded ? kTrue : going_on ? kUnknown : kFalse, situation, now);
  if (going_on) set(conditions, status, api::kReconcilingCondition, kTrue, situation, now);
  if (failed) set(conditions, status, api::kStalledCondition, kTrue, situation, now);
  set(conditions, status, api::kSucceededCondition, succeeded ? kTrue : failed ? kFalse : kUnknown, situation, now);
  status.conditions = std::move(conditions);
}

std::string stage_summary(const std::vector<api::StageStatus>& stages) {
  if (stages.empty()) return {};
  const auto done = std::ranges::count_if(
      stages, [](const api::StageStatus& stage) { return stage.work.phase == WorkPhase::kSucceeded; });
  return std::to_string(done) + "/" + std::to_string(stages.size());
}

bool is_finished(const api::ImageBuildStatus& status) {
  return status.phase == BuildPhase::kSucceeded || status.phase == BuildPhase::kFailed ||
         status.phase == BuildPhase::kCancelled;
}

std::vector<EmitEvent> events_between(const api::ImageBuildStatus& before, const api::ImageBuildStatus& after) {
  return Narrator(before, after).run();
}

}  // namespace imagebuild::build
