#include "build/reconciler.h"

#include <algorithm>

#include "api/reasons.h"
#include "base/overloaded.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::WorkPhase;
using api::WorkStatus;

constexpr std::size_t kMaxChangedBytes = 200;

}  // namespace

FollowOptions Reconciler::follow_options() const {
  return {.generation = generation(), .retries = retries()};
}

void Reconciler::track_prepare() {
  FollowOptions options = follow_options();
  options.needs_outcome = true;
  options.outcome_known = observed_.plan.has_value();
  const bool was_done = next_.prepare.phase == WorkPhase::kSucceeded;
  prepare_ = follow(Work{PodRole::kPrepare, 0}, next_.prepare, observed_.pods, options, now_);
  settle("prepare", prepare_, next_.prepare);
  const bool done = next_.prepare.phase == WorkPhase::kSucceeded;
  if (was_done && !done) redo_stages();
  if (!done || !observed_.plan) return;
  if (prepare_.pod != nullptr && prepare_.pod->told && prepare_.pod->told->source) {
    next_.source = *prepare_.pod->told->source;
  }
}

void Reconciler::track_stages() {
  if (!planned()) return;
  const api::Plan& plan = *observed_.plan;
  places_ = place_stages(plan);
  list_stages(plan);
  stages_.resize(plan.stages.size());
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    if (places_[i] == Place::kPrepare) next_.stages[i].work.phase = WorkPhase::kSucceeded;
    if (places_[i] == Place::kPod) track_stage(static_cast<int>(i));
  }
}

// The stages of the plan, with what is known of each by its name.
void Reconciler::list_stages(const api::Plan& plan) {
  std::vector<api::StageStatus> known;
  known.swap(next_.stages);
  for (const api::PlanStage& stage : plan.stages) {
    const auto found = std::ranges::find(known, stage.name, &api::StageStatus::name);
    api::StageStatus status = found == known.end() ? api::StageStatus{} : *found;
    status.name = stage.name;
    status.steps = static_cast<std::int64_t>(stage.steps.size());
    std::visit(Overloaded{[&](const api::Scratch&) { status.base_image = "scratch"; },
                          [&](const api::OnImage& base) {
                            const auto& image = plan.images.at(static_cast<std::size_t>(base.image));
                            status.base_image = image.name;
                            status.base_digest = image.digest;
                          },
                          [&](const api::OnStage& base) {
                            status.base_image = plan.stages.at(static_cast<std::size_t>(base.stage)).name;
                          }},
               stage.base);
    next_.stages.push_back(std::move(status));
  }
  const Pod* prepare = prepare_.pod;
  if (prepare == nullptr || !prepare->told) return;
  for (const int cached : prepare->told->cached) {
    if (cached < 0 || static_cast<std::size_t>(cached) >= next_.stages.size()) continue;
    api::StageStatus& stage = next_.stages[static_cast<std::size_t>(cached)];
    stage.cached = true;
    stage.work.phase = WorkPhase::kSucceeded;
  }
  for (const auto& [changed, what] : prepare->told->changed) {
    if (static_cast<std::size_t>(changed) >= next_.stages.size()) continue;
    next_.stages[static_cast<std::size_t>(changed)].changed = api::shortened(what, kMaxChangedBytes);
  }
}

void Reconciler::track_stage(int index) {
  const auto i = static_cast<std::size_t>(index);
  api::StageStatus& stage = next_.stages[i];
  stages_[i] = follow(Work{PodRole::kStage, index}, stage.work, observed_.pods, follow_options(), now_);
  if (const Pod* pod = stages_[i].pod; pod != nullptr && pod->told) {
    stage.step = std::max<std::int64_t>(stage.step, pod->told->step + 1);
    stage.export_bytes = static_cast<std::int64_t>(pod->told->export_bytes);
  }
  settle(stage.name, stages_[i], stage.work);
  count_own_time(stage.work, needs_of_stage(i));
}

// A pod that was made ahead has not begun before what it waits for is done.
void Reconciler::count_own_time(WorkStatus& status, const std::vector<std::size_t>& needs) const {
  const bool waits = !std::ranges::all_of(needs, [&](std::size_t need) { return is_over(need); });
  if (waits && status.phase == WorkPhase::kRunning) status.phase = WorkPhase::kPending;
  if (!waits && status.start_time && status.attempts == 1) {
    status.start_time = std::max(*status.start_time, end_of(needs));
  }
}

std::vector<std::size_t> Reconciler::stages_with_pods() const {
  std::vector<std::size_t> stages;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] == Place::kPod) stages.push_back(i);
  }
  return stages;
}

void Reconciler::track_publish() {
  if (!planned()) return;
  // It found that each tag names just this image.
  if (const Pod* pod = prepare_.pod; pod != nullptr && pod->told && pod->told->image) {
    published_ = *pod->told->image;
    next_.publish.phase = WorkPhase::kSucceeded;
    return;
  }
  const auto told = std::ranges::find_if(observed_.pods, [&](const Pod& pod) {
    return is_current(pod) && pod.work.role == PodRole::kPublish && pod.told && pod.told->image;
  });
  FollowOptions options = follow_options();
  options.needs_outcome = true;
  options.outcome_known = told != observed_.pods.end();
  publish_ = follow(Work{PodRole::kPublish, 0}, next_.publish, observed_.pods, options, now_);
  if (options.outcome_known) published_ = *told->told->image;
  settle("publish", publish_, next_.publish);
  count_own_time(next_.publish, stages_with_pods());
  const bool waits = !stages_done() && next_.publish.phase != WorkPhase::kSucceeded;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] != Place::kPublish || next_.stages[i].cached) continue;
    next_.stages[i].work.phase = waits ? WorkPhase::kWaiting : next_.publish.phase;
  }
}

// What every piece of work has in common once it was followed.
void Reconciler::settle(const std::string& name, const Followed& followed, const WorkStatus& status) {
  const Pod* pod = followed.pod;
  if (pod != nullptr && followed.verdict.kind == Verdict::Kind::kUntold && !pod->active()) {
    act(ReadOutcome{pod->name});
  }
  if (status.phase != WorkPhase::kFailed || failed_ || spec_.cancel) return;
  fail(name, status.reason, message_of(status, followed));
  if (pod == nullptr) return;
  next_.failure->exit_code = pod->exit_code.value_or(0);
  if (pod->told && pod->told->failure) tell_failure(*pod->told->failure);
}

std::string Reconciler::message_of(const WorkStatus& status, const Followed& followed) const {
  const std::string& what = followed.verdict.message;
  if (status.reason != reason::kRetriesExhausted) return what;
  return "the infrastructure lost it " + std::to_string(status.retries) + " times" +
         (what.empty() ? "" : "; the last time: " + what);
}

void Reconciler::tell_failure(const api::Failure& told) {
  api::FailureStatus& failure = *next_.failure;
  failure.line = told.at.line;
  if (told.exit_code != 0) failure.exit_code = told.exit_code;
  for (const std::string& line : told.log_tail) {
    if (failure.log_tail.size() >= api::kLogTailLines) break;
    failure.log_tail.push_back(api::shortened(line, api::kMaxLogLineBytes));
  }
  if (!observed_.plan || told.step < 0) return;
  for (const api::PlanStage& stage : observed_.plan->stages) {
    const auto step = static_cast<std::size_t>(told.step);
    if (stage.name == told.stage && step < stage.steps.size()) failure.step = stage.steps[step].text;
  }
}

}  // namespace imagebuild::build
