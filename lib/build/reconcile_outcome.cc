#include "build/reconciler.h"

#include "api/reasons.h"
#include "base/timestamp.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;
using api::WorkStatus;

void stop_counting(WorkStatus& status, bool had_its_turn) {
  if (status.phase != WorkPhase::kPending && status.phase != WorkPhase::kRunning) return;
  if (had_its_turn || status.retries > 0) {
    status.phase = WorkPhase::kCancelled;
  } else {
    status = {};
  }
}

}  // namespace

void Reconciler::describe() {
  const bool publishing = planned() && stages_done();
  next_.phase = !planned() ? BuildPhase::kPreparing : publishing ? BuildPhase::kPublishing : BuildPhase::kBuilding;
  for (const Followed* followed : all_followed()) {
    const Pod* pod = followed->pod;
    if (pod == nullptr || pod->unschedulable.empty() || now_ >= pod->created + kSchedulingPatience) continue;
    again_at(pod->created + kSchedulingPatience);
  }
  if (const auto waiting = waiting_reason()) {
    again_in(kLookAgain);
    return going_on(waiting->reason.c_str(), waiting->message);
  }
  if (retry_pending_) return going_on(reason::kRetrying, "the infrastructure lost a pod; it is tried again soon");
  if (next_.phase == BuildPhase::kPreparing) return going_on(reason::kPreparing, "the source is fetched");
  if (publishing) return going_on(reason::kPublishing, "the image is pushed to " + spec_.output.image);
  going_on(reason::kBuilding, stage_summary(next_.stages) + " stages are done");
}

void Reconciler::going_on(const char* why, const std::string& message) {
  set_conditions(next_, {Situation::Kind::kGoingOn, why, message}, now_);
}

void Reconciler::end(BuildPhase phase, const Situation& situation) {
  next_.phase = phase;
  next_.completion_time = now_;
  if (next_.waiting_since) end_wait(placed_after(*next_.waiting_since).value_or(now_));
  if (next_.start_time) {
    next_.duration = duration_text(std::chrono::duration_cast<std::chrono::seconds>(now_ - *next_.start_time));
  }
  stop_counting_all();
  set_conditions(next_, situation, now_);
}

// What ran is cancelled. What only waited for others, in a pod that was made ahead, has not begun.
void Reconciler::stop_counting_all() {
  for (std::size_t i = 0; i < next_.stages.size(); ++i) {
    stop_counting(next_.stages[i].work, !planned() || needs_done(i));
  }
  stop_counting(next_.prepare, true);
  stop_counting(next_.publish, !planned() || stages_done());
}

void Reconciler::fail(const std::string& where, const std::string& why, const std::string& message) {
  failed_ = true;
  next_.failure =
      api::FailureStatus{.stage = where, .reason = why, .message = api::shortened(message, api::kMaxMessageBytes)};
  const std::string text = where.empty() ? message : "'" + where + "': " + message;
  end(BuildPhase::kFailed, {Situation::Kind::kFailed, why, text});
}

void Reconciler::succeed() {
  if (published_ && published_->digest != next_.image.digest) {
    if (!next_.image.digest.empty()) remember_image();
    next_.image = *published_;
    next_.image.generation = generation();
    next_.image.completion_time = now_;
  }
  next_.failure.reset();
  for (std::size_t i = 0; i < places_.size(); ++i) next_.stages[i].work.phase = WorkPhase::kSucceeded;
  end(BuildPhase::kSucceeded, {Situation::Kind::kSucceeded, reason::kSucceeded, "pushed " + next_.image.reference});
}

void Reconciler::remember_image() {
  const api::ImageStatus& image = next_.image;
  next_.history.insert(next_.history.begin(),
                       api::PastImage{image.reference, image.digest, image.generation, image.completion_time});
  if (next_.history.size() > api::kMaxHistory) next_.history.resize(api::kMaxHistory);
}

}  // namespace imagebuild::build
