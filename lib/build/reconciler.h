// One decision in the making: what reconcile() knows of a build, and what it has decided so far. Its functions lie in
// the files named below, one idea each; run() and go_on() say in which order they come.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/validate.h"
#include "build/placement.h"
#include "build/reconcile.h"
#include "build/reconcile_report.h"
#include "build/reconcile_work.h"
#include "build/schedule.h"

namespace imagebuild::build {

class Reconciler {
 public:
  explicit Reconciler(const Observed& observed);
  Decision run();

 private:
  // reconcile.cc: the order of things, and which build this is about.
  void go_on();
  std::vector<api::Problem> mistakes() const;
  void identify(bool valid);
  void refresh_conditions();
  Decision finish();

  // reconcile_clean_up.cc: what is not needed any more.
  void sweep_earlier_builds();
  void clean_up();
  bool is_ending(const Pod& pod) const;
  void remove(const Pod& pod);
  void remove(const Claim& claim);

  // reconcile_keep.cc: what a build that did not come to its end leaves to the next one.
  bool keeps_results();
  bool still_keeps(const Pod& pod);
  bool start_keeping();
  std::vector<int> worth_keeping() const;
  void note_not_kept(const Pod& pod);
  bool proves_keeping(const Pod& pod) const;

  // reconcile_claim.cc: the artifact claim. Without it, all that a build has done is lost.
  const Claim* claim() const;
  void check_claim();
  void redo_stages();
  void wait_for_claim();
  bool waits_for_volume();

  // reconcile_track.cc: what the pods have done.
  FollowOptions follow_options() const;
  void track_prepare();
  void track_stages();
  void list_stages(const api::Plan& plan);
  void track_stage(int index);
  void count_own_time(api::WorkStatus& status, const std::vector<std::size_t>& needs) const;
  std::vector<std::size_t> stages_with_pods() const;
  void track_publish();
  void settle(const std::string& name, const Followed& followed, const api::WorkStatus& status);
  std::string message_of(const api::WorkStatus& status, const Followed& followed) const;
  void tell_failure(const api::Failure& told);

  // reconcile_fit.cc: what the plan is for the cluster, besides a plan.
  void check_fit();
  void list_warnings();

  // reconcile_start.cc: the queue, and the pods that can start.
  bool begin();
  void start_what_can_start();
  bool is_alone() const;
  void start_publish();
  StageState state_of(std::size_t i) const;
  bool stages_done() const;
  void start(const Work& work, const Followed& followed, const api::WorkStatus& status, bool early = false);
  std::string node_for(const api::WorkStatus& status) const;

  // reconcile_ahead.cc: pods that are made before what they need is done.
  void start_ahead();
  void call_back();
  bool was_lost(std::size_t stage) const;
  bool is_over(std::size_t stage) const;
  bool has_place(std::size_t stage) const;
  std::vector<std::size_t> needs_of_stage(std::size_t stage) const;
  bool needs_done(std::size_t stage) const;
  bool may_go_ahead(std::size_t stage) const;

  // reconcile_clock.cc: when the clock of spec.timeout stands still.
  void note_wait();
  WallTime begin_of_wait() const;
  std::optional<WallTime> placed_after(WallTime since) const;
  void end_wait(WallTime when);
  std::chrono::milliseconds waited() const;

  // reconcile_stop.cc: deadlines, suspend and cancel.
  bool past_deadline();
  bool build_past();
  bool pod_past(const Followed& followed, api::WorkStatus& status, const std::string& name, WallTime needs_end,
                std::chrono::milliseconds stage_limit);
  bool stage_past(std::size_t stage, std::chrono::milliseconds stage_limit);
  bool publish_past(std::chrono::milliseconds stage_limit);
  WallTime end_of(const std::vector<std::size_t>& stages) const;
  bool stop_pods();
  void suspend();
  void cancel();

  // reconcile_waiting.cc: what the build waits for.
  bool refused_for_good();
  bool wants(const std::string& object) const;
  std::optional<Waiting> waiting_reason() const;
  bool waits_for_stages(const Followed& followed) const;
  std::string needs_of(const Work& work) const;
  std::vector<const Followed*> all_followed() const;

  // reconcile_outcome.cc: what the status says, and how a build ends.
  void describe();
  void going_on(const char* why, const std::string& message);
  void end(api::BuildPhase phase, const Situation& situation);
  void stop_counting_all();
  void fail(const std::string& where, const std::string& why, const std::string& message);
  void succeed();
  void remember_image();

  std::int64_t generation() const { return next_.build.generation; }
  bool is_current(const Pod& pod) const { return pod.generation == generation(); }
  bool uses_claim() const { return spec_.artifacts.transport == api::Transport::kVolume; }
  std::int64_t retries() const { return spec_.retries.value_or(api::kDefaultRetries); }
  bool planned() const { return observed_.plan && next_.prepare.phase == api::WorkPhase::kSucceeded; }
  void act(Action action) { actions_.push_back(std::move(action)); }
  void again_at(WallTime when);
  void again_in(std::chrono::milliseconds delay);

  // How often what no watch tells is looked at again.
  static constexpr std::chrono::milliseconds kLookAgain{10'000};

  const Observed& observed_;
  const api::ImageBuild& build_;
  const api::ImageBuildSpec& spec_;
  api::ImageBuildStatus before_;  // Of this build, as the last decision left it.
  api::ImageBuildStatus next_;
  const WallTime now_;
  std::vector<Action> actions_;
  std::optional<std::chrono::milliseconds> again_;
  std::optional<EmitEvent> superseded_;

  Followed prepare_, publish_;
  std::vector<Followed> stages_;
  std::vector<Place> places_;
  std::optional<api::ImageStatus> published_;
  bool claim_broken_ = false;
  bool retry_pending_ = false;
  bool failed_ = false;
};

}  // namespace imagebuild::build
