#include "build/reconcile.h"

#include <algorithm>

#include "api/reasons.h"
#include "api/validate.h"
#include "build/reconciler.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;
using std::chrono::milliseconds;

}  // namespace

Reconciler::Reconciler(const Observed& observed)
    : observed_(observed), build_(observed.build), spec_(build_.spec), next_(build_.status), now_(observed.now) {}

Decision Reconciler::run() {
  if (build_.deleting) return {{}, build_.status};
  const std::vector<api::Problem> problems = mistakes();
  identify(problems.empty());
  before_ = next_;
  next_.observed_generation = build_.generation;
  sweep_earlier_builds();
  if (is_finished(next_)) {
    refresh_conditions();
  } else if (!problems.empty()) {
    fail("", reason::kInvalidSpec, api::problems_text(problems));
  } else {
    go_on();
  }
  if (is_finished(next_)) clean_up();
  return finish();
}

void Reconciler::go_on() {
  check_claim();
  track_prepare();
  track_stages();
  track_publish();
  list_warnings();
  check_fit();
  if (next_.publish.phase == WorkPhase::kSucceeded) return succeed();
  if (spec_.cancel) return cancel();
  if (failed_) return stop_counting_all();  // What was followed after the failure, too.
  if (spec_.suspend) return suspend();
  if (!begin()) return;
  if (!claim_broken_) start_what_can_start();
  note_wait();
  if (past_deadline()) return;
  if (claim_broken_) return wait_for_claim();
  if (refused_for_good()) return;
  describe();
}

std::vector<api::Problem> Reconciler::mistakes() const {
  if (build_.spec_error) {
    const std::string& text = build_.spec_error->message;
    const std::size_t space = std::min(text.find(' '), text.size() - 1);
    return {{text.substr(0, space), text.substr(space + 1)}};
  }
  return api::validate(spec_);
}

void Reconciler::identify(bool valid) {
  const api::Condition* ready = api::find_condition(next_, api::kReadyCondition);
  const bool first = next_.build.generation == 0;
  const bool changed = next_.build.spec_digest != build_.spec_digest;
  // Taking `cancel` back asks for the image again; so does a spec that only an older operator called wrong.
  const bool cancelled = next_.phase == BuildPhase::kCancelled ||
                         (ready != nullptr && ready->reason == reason::kCancelling && !is_finished(next_));
  const bool again = cancelled && !spec_.cancel;
  const bool mended = valid && is_finished(next_) && ready != nullptr && ready->reason == reason::kInvalidSpec;
  if (!first && !changed && !again && !mended) return;
  if (!first && !is_finished(next_)) {
    superseded_ = EmitEvent{false, reason::kBuildSuperseded, "the spec changed: a new build replaces this one"};
  }
  api::ImageBuildStatus fresh;
  fresh.build = {build_.generation, build_.spec_digest};
  fresh.phase = BuildPhase::kPending;
  fresh.conditions = next_.conditions;
  fresh.image = next_.image;
  fresh.history = next_.history;
  next_ = std::move(fresh);
}

void Reconciler::refresh_conditions() {
  for (api::Condition& condition : next_.conditions) condition.observed_generation = build_.generation;
}

Decision Reconciler::finish() {
  // A build that has ended starts nothing, but for what keeps its results.
  if (is_finished(next_)) {
    std::erase_if(actions_, [](const Action& action) {
      const auto* pod = std::get_if<CreatePod>(&action);
      return (pod != nullptr && pod->work.role != PodRole::kKeep) || std::holds_alternative<CreateClaim>(action) ||
             std::holds_alternative<RecordPlan>(action) || std::holds_alternative<ReadOutcome>(action);
    });
  }
  next_.stage_summary = stage_summary(next_.stages);
  if (superseded_) act(*superseded_);
  for (EmitEvent& event : events_between(before_, next_)) act(std::move(event));
  if (again_) act(RequeueAfter{*again_});
  return {std::move(actions_), std::move(next_)};
}

void Reconciler::again_at(WallTime when) {
  again_in(std::chrono::ceil<milliseconds>(std::max(when - now_, WallTime::duration::zero())));
}

void Reconciler::again_in(milliseconds delay) {
  again_ = again_ ? std::min(*again_, delay) : delay;
}

Decision reconcile(const Observed& observed) {
  return Reconciler(observed).run();
}

}  // namespace imagebuild::build
