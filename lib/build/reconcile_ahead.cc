#include "build/reconciler.h"

#include <algorithm>

#include "api/reasons.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::WorkPhase;
using api::WorkStatus;

}  // namespace

// A pod takes most of a second until its container runs. Where all pods share the volume of one node, that passes while
// the stages run that it waits for; on the volume it sees when they are done.
void Reconciler::start_ahead() {
  if (!uses_claim() || !api::on_one_node(spec_)) return;
  call_back();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (!may_go_ahead(i)) continue;
    start(Work{PodRole::kStage, static_cast<int>(i)}, stages_[i], next_.stages[i].work, true);
  }
  if (stages_done() || !is_alone()) return;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] == Place::kPod && !is_over(i) && !has_place(i)) return;
  }
  start(Work{PodRole::kPublish, 0}, publish_, next_.publish, true);
}

// A stage has to run again: who waits for it must neither take what was left of it nor hold what it needs.
void Reconciler::call_back() {
  const auto end = [&](const Followed& followed, WorkStatus& status) {
    if (followed.pod == nullptr || !followed.pod->active() || status.phase == WorkPhase::kSucceeded) return;
    remove(*followed.pod);
    forget_attempt(status, reason::kInfrastructure, now_);
  };
  bool any_lost = false;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] != Place::kPod) continue;
    const bool needs_lost = std::ranges::any_of(needs_of_stage(i), [&](std::size_t need) { return was_lost(need); });
    if (needs_lost) end(stages_[i], next_.stages[i].work);
    any_lost = any_lost || was_lost(i);
  }
  if (any_lost) end(publish_, next_.publish);
}

// Of a stage that others wait for, which all had its pod before they had theirs, whether or not the status says so.
bool Reconciler::was_lost(std::size_t stage) const {
  return places_[stage] == Place::kPod && next_.stages[stage].work.phase == WorkPhase::kWaiting;
}

bool Reconciler::is_over(std::size_t stage) const {
  return next_.stages[stage].work.phase == WorkPhase::kSucceeded;
}

// Its pod is on a node: what others take there, it does not need. Where an earlier attempt may have left a report,
// nobody can tell from the volume when the stage is done.
bool Reconciler::has_place(std::size_t stage) const {
  const Pod* pod = stages_[stage].pod;
  const WorkStatus& work = next_.stages[stage].work;
  return pod != nullptr && !pod->node.empty() && !pod->deletion && work.phase != WorkPhase::kWaiting &&
         work.attempts == 1;
}

std::vector<std::size_t> Reconciler::needs_of_stage(std::size_t stage) const {
  const std::vector<int>& needs = observed_.plan->stages[stage].needs;
  return {needs.begin(), needs.end()};
}

bool Reconciler::needs_done(std::size_t stage) const {
  return std::ranges::all_of(needs_of_stage(stage), [&](std::size_t need) { return is_over(need); });
}

// One that holds nothing of the node while it waits, and only for stages that do not wait themselves.
bool Reconciler::may_go_ahead(std::size_t stage) const {
  const WorkStatus& work = next_.stages[stage].work;
  if (places_[stage] != Place::kPod || work.phase != WorkPhase::kWaiting || needs_done(stage)) return false;
  const api::ResourceNeeds& own = api::settings_for(spec_, api::written_name(observed_.plan->stages[stage])).resources;
  if (!own.requests.empty() || !own.limits.empty()) return false;
  return std::ranges::all_of(needs_of_stage(stage), [&](std::size_t need) {
    return is_over(need) || (places_[need] == Place::kPod && has_place(need) && needs_done(need));
  });
}

}  // namespace imagebuild::build
