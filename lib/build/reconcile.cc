#include "build/reconcile.h"

#include <algorithm>
#include <optional>

#include "api/image_build_references.h"
#include "api/reasons.h"
#include "api/validate.h"
#include "api/validate_values.h"
#include "base/overloaded.h"
#include "base/timestamp.h"
#include "build/placement.h"
#include "build/reconcile_names.h"
#include "build/reconcile_report.h"
#include "build/reconcile_work.h"
#include "build/schedule.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using api::BuildPhase;
using api::WorkPhase;
using api::WorkStatus;
using std::chrono::milliseconds;

// How often what no watch tells is looked at again.
constexpr milliseconds kLookAgain{10'000};

class Reconciler {
 public:
  explicit Reconciler(const Observed& observed)
      : observed_(observed), build_(observed.build), spec_(build_.spec), next_(build_.status), now_(observed.now) {}

  Decision run() {
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

 private:
  std::vector<api::Problem> mistakes() const {
    if (build_.spec_error) {
      const std::string& text = build_.spec_error->message;
      const std::size_t space = std::min(text.find(' '), text.size() - 1);
      return {{text.substr(0, space), text.substr(space + 1)}};
    }
    return api::validate(spec_);
  }

  // --- Which build this is about ---------------------------------------------------------------------------------

  void identify(bool valid) {
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

  std::int64_t generation() const { return next_.build.generation; }
  bool is_current(const Pod& pod) const { return pod.generation == generation(); }

  void sweep_earlier_builds() {
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

  // --- A build that is not finished ------------------------------------------------------------------------------

  void go_on() {
    check_claim();
    track_prepare();
    track_stages();
    track_publish();
    if (next_.publish.phase == WorkPhase::kSucceeded) return succeed();
    if (spec_.cancel) return cancel();
    if (failed_) return;
    if (spec_.suspend) return suspend();
    if (!begin()) return;
    if (past_deadline()) return;
    if (claim_broken_) return wait_for_claim();
    start_what_can_start();
    if (refused_for_good()) return;
    describe();
  }

  bool uses_claim() const { return spec_.artifacts.transport == api::Transport::kVolume; }
  const Claim* claim() const {
    const auto found = std::ranges::find(observed_.claims, generation(), &Claim::generation);
    return found == observed_.claims.end() ? nullptr : &*found;
  }

  // Without its claim, all that a build has done is lost.
  void check_claim() {
    const bool wanted = uses_claim() && next_.prepare.phase == WorkPhase::kSucceeded;
    const Claim* own = claim();
    claim_broken_ = uses_claim() && own != nullptr && (own->deleting || own->lost);
    if (!wanted || (own != nullptr && !claim_broken_)) return;
    ++next_.prepare.retries;
    forget_attempt(next_.prepare, reason::kInfrastructure, now_);
    if (next_.prepare.retries > retries() && !spec_.cancel) {
      next_.prepare.phase = WorkPhase::kFailed;
      fail("prepare", reason::kRetriesExhausted, "the artifact claim was lost");
    }
    redo_stages();
  }

  void redo_stages() {
    for (api::StageStatus& stage : next_.stages) {
      if (stage.work.phase == WorkPhase::kWaiting) continue;
      forget_attempt(stage.work, reason::kInfrastructure, now_);
      stage.cached = false;
    }
    if (next_.publish.phase != WorkPhase::kWaiting) forget_attempt(next_.publish, reason::kInfrastructure, now_);
  }

  void wait_for_claim() {
    for (const Pod& pod : observed_.pods) {
      if (is_current(pod)) remove(pod);
    }
    if (const Claim* own = claim()) remove(*own);
    going_on(reason::kRetrying, "the artifact claim is being deleted; the build begins anew with another");
    next_.phase = BuildPhase::kPreparing;
  }

  FollowOptions follow_options() const { return {.generation = generation(), .retries = retries()}; }
  std::int64_t retries() const { return spec_.retries.value_or(api::kDefaultRetries); }

  void track_prepare() {
    FollowOptions options = follow_options();
    options.needs_outcome = true;
    options.outcome_known = observed_.plan.has_value();
    const bool was_done = next_.prepare.phase == WorkPhase::kSucceeded;
    prepare_ = follow(Work{PodRole::kPrepare, 0}, next_.prepare, observed_.pods, options, now_);
    settle("prepare", prepare_, next_.prepare);
    const bool done = next_.prepare.phase == WorkPhase::kSucceeded;
    if (was_done && !done) redo_stages();
    if (!done || !observed_.plan) return;
    next_.warnings = observed_.plan->warnings;
    if (next_.warnings.size() > api::kMaxWarnings) next_.warnings.resize(api::kMaxWarnings);
    if (prepare_.pod != nullptr && prepare_.pod->told && prepare_.pod->told->source) {
      next_.source = *prepare_.pod->told->source;
    }
  }

  bool planned() const { return observed_.plan && next_.prepare.phase == WorkPhase::kSucceeded; }

  void track_stages() {
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
  void list_stages(const api::Plan& plan) {
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
  }

  void track_stage(int index) {
    const auto i = static_cast<std::size_t>(index);
    api::StageStatus& stage = next_.stages[i];
    stages_[i] = follow(Work{PodRole::kStage, index}, stage.work, observed_.pods, follow_options(), now_);
    if (const Pod* pod = stages_[i].pod; pod != nullptr && pod->told) {
      stage.step = std::max<std::int64_t>(stage.step, pod->told->step + 1);
      stage.export_bytes = static_cast<std::int64_t>(pod->told->export_bytes);
    }
    settle(stage.name, stages_[i], stage.work);
  }

  void track_publish() {
    if (!planned()) return;
    const auto told = std::ranges::find_if(observed_.pods, [&](const Pod& pod) {
      return is_current(pod) && pod.work.role == PodRole::kPublish && pod.told && pod.told->image;
    });
    FollowOptions options = follow_options();
    options.needs_outcome = true;
    options.outcome_known = told != observed_.pods.end();
    publish_ = follow(Work{PodRole::kPublish, 0}, next_.publish, observed_.pods, options, now_);
    if (options.outcome_known) published_ = *told->told->image;
    settle("publish", publish_, next_.publish);
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i] != Place::kPublish || next_.stages[i].cached) continue;
      next_.stages[i].work.phase = next_.publish.phase;
    }
  }

  // What every piece of work has in common once it was followed.
  void settle(const std::string& name, const Followed& followed, const WorkStatus& status) {
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

  std::string message_of(const WorkStatus& status, const Followed& followed) const {
    const std::string& what = followed.verdict.message;
    if (status.reason != reason::kRetriesExhausted) return what;
    return "the infrastructure lost it " + std::to_string(status.retries) + " times" +
           (what.empty() ? "" : "; the last time: " + what);
  }

  void tell_failure(const api::Failure& told) {
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

  // --- Beginning, waiting, stopping ------------------------------------------------------------------------------

  // Whether the build is under way; it may have to queue.
  bool begin() {
    if (before_.phase == BuildPhase::kSuspended && next_.start_time) next_.start_time = now_;
    if (next_.start_time) return true;
    if (observed_.slot_free) {
      next_.start_time = now_;
      return true;
    }
    next_.phase = BuildPhase::kPending;
    going_on(reason::kQueued, "the operator runs as many builds as it may");
    again_in(kLookAgain);
    return false;
  }

  static std::optional<milliseconds> limit(const std::string& text) {
    return text.empty() ? std::nullopt : api::parse_duration(text);
  }

  bool past_deadline() {
    const std::string text = spec_.timeout.empty() ? api::kDefaultTimeout : spec_.timeout;
    const WallTime deadline = *next_.start_time + limit(text).value_or(milliseconds(0));
    if (now_ >= deadline) {
      std::string message = "the build did not end within " + text;
      if (const auto waiting = waiting_reason()) message += "; it waited: " + waiting->message;
      fail("", reason::kDeadlineExceeded, message);
      return true;
    }
    again_at(deadline);
    const auto stage_limit = limit(spec_.stage_timeout);
    if (!stage_limit) return false;
    if (pod_past(prepare_, next_.prepare, "prepare", *stage_limit)) return true;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      if (pod_past(stages_[i], next_.stages[i].work, next_.stages[i].name, *stage_limit)) return true;
    }
    return pod_past(publish_, next_.publish, "publish", *stage_limit);
  }

  bool pod_past(const Followed& followed, WorkStatus& status, const std::string& name, milliseconds stage_limit) {
    if (followed.pod == nullptr || (status.phase != WorkPhase::kPending && status.phase != WorkPhase::kRunning)) {
      return false;
    }
    const WallTime deadline = followed.pod->created + stage_limit;
    if (now_ < deadline) {
      again_at(deadline);
      return false;
    }
    std::string message = "its pod did not end within " + spec_.stage_timeout;
    if (const auto waiting = waiting_for(*followed.pod)) message += "; it waited: " + waiting->message;
    status.phase = WorkPhase::kFailed;
    status.reason = reason::kStageDeadlineExceeded;
    status.completion_time = now_;
    fail(name, reason::kStageDeadlineExceeded, message);
    return true;
  }

  // Deletes what runs; whether any pod may still do something.
  bool stop_pods() {
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

  // What we end ourselves is not lost.
  static void interrupt(WorkStatus& status, WorkPhase phase) {
    if (status.phase != WorkPhase::kPending && status.phase != WorkPhase::kRunning) return;
    status.phase = phase;
    status.reason.clear();
  }

  void suspend() {
    stop_pods();
    interrupt(next_.prepare, WorkPhase::kWaiting);
    for (api::StageStatus& stage : next_.stages) interrupt(stage.work, WorkPhase::kWaiting);
    interrupt(next_.publish, WorkPhase::kWaiting);
    next_.phase = BuildPhase::kSuspended;
    set_conditions(next_, {Situation::Kind::kSuspended, reason::kSuspended, "spec.suspend is set"}, now_);
  }

  void cancel() {
    interrupt(next_.prepare, WorkPhase::kCancelled);
    for (api::StageStatus& stage : next_.stages) interrupt(stage.work, WorkPhase::kCancelled);
    if (stop_pods()) return going_on(reason::kCancelling, "the pods of the build are ending");
    end(BuildPhase::kCancelled, {Situation::Kind::kFailed, reason::kCancelled, "spec.cancel is set"});
  }

  // --- Starting pods ---------------------------------------------------------------------------------------------

  void start_what_can_start() {
    if (!observed_.missing.empty()) return again_in(kLookAgain);
    if (uses_claim() && claim() == nullptr) act(CreateClaim{claim_name(build_, generation()), generation()});
    if (!planned()) return start(Work{PodRole::kPrepare, 0}, prepare_, next_.prepare);
    if (!observed_.plan_recorded) act(RecordPlan{record_name(build_, generation()), generation()});
    std::vector<StageState> states;
    for (std::size_t i = 0; i < places_.size(); ++i) states.push_back(state_of(i));
    for (const int stage : ready_stages(*observed_.plan, states)) {
      const auto i = static_cast<std::size_t>(stage);
      start(Work{PodRole::kStage, stage}, stages_[i], next_.stages[i].work);
    }
    if (!stages_done()) return;
    // An earlier build that still pushes could push after this one.
    const bool alone = std::ranges::none_of(observed_.pods, [&](const Pod& pod) {
      return !is_current(pod) && pod.work.role == PodRole::kPublish && pod.active();
    });
    if (alone) start(Work{PodRole::kPublish, 0}, publish_, next_.publish);
  }

  StageState state_of(std::size_t i) const {
    if (places_[i] == Place::kPublish && !next_.stages[i].cached) return StageState::kRunning;  // No pod needs it.
    switch (next_.stages[i].work.phase) {
      case WorkPhase::kWaiting:
        return StageState::kWaiting;
      case WorkPhase::kPending:
      case WorkPhase::kRunning:
        return StageState::kRunning;
      case WorkPhase::kSucceeded:
        return StageState::kDone;
      case WorkPhase::kFailed:
      case WorkPhase::kCancelled:
        return StageState::kFailed;
    }
    return StageState::kFailed;
  }

  bool stages_done() const {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i] != Place::kPublish && next_.stages[i].work.phase != WorkPhase::kSucceeded) return false;
    }
    return true;
  }

  void start(const Work& work, const Followed& followed, const WorkStatus& status) {
    if (!followed.may_start) return;
    if (followed.not_before && now_ < *followed.not_before) {
      retry_pending_ = true;
      return again_at(*followed.not_before);
    }
    const std::int64_t attempt = status.attempts + 1;
    act(CreatePod{pod_name(build_, generation(), work, attempt), generation(), work, static_cast<int>(attempt),
                  node_for(status)});
  }

  // With a claim for one node, all pods follow the one that has it: a pod elsewhere would wait for the volume. An
  // attempt after a loss may go elsewhere, for the node may be what was lost.
  std::string node_for(const WorkStatus& status) const {
    if (!uses_claim() || api::spreads_over_nodes(spec_.artifacts.volume) || !status.reason.empty()) return {};
    const Pod* best = nullptr;
    for (const Pod& pod : observed_.pods) {
      if (!is_current(pod) || pod.node.empty() || pod.deletion || pod.phase == PodPhase::kFailed) continue;
      if (best == nullptr || pod.active() > best->active() ||
          (pod.active() == best->active() && pod.created > best->created)) {
        best = &pod;
      }
    }
    return best == nullptr ? "" : best->node;
  }

  // --- What it says ----------------------------------------------------------------------------------------------

  bool refused_for_good() {
    for (const Refusal& refusal : observed_.refusals) {
      if (refusal.kind != Refusal::Kind::kInvalid || !wants(refusal.object)) continue;
      fail("", reason::kInvalidPod, refusal.message);
      return true;
    }
    return false;
  }

  // Whether an action of this decision makes that object.
  bool wants(const std::string& object) const {
    return std::ranges::any_of(actions_, [&](const Action& action) {
      const auto* pod = std::get_if<CreatePod>(&action);
      const auto* claim = std::get_if<CreateClaim>(&action);
      return (pod != nullptr && pod->name == object) || (claim != nullptr && claim->name == object);
    });
  }

  std::optional<Waiting> waiting_reason() const {
    for (const api::Reference& missing : observed_.missing) return waiting_for_missing(missing);
    for (const Refusal& refusal : observed_.refusals) {
      if (!wants(refusal.object)) continue;
      const char* why = refusal.kind == Refusal::Kind::kQuota       ? reason::kQuota
                        : refusal.kind == Refusal::Kind::kForbidden ? reason::kForbidden
                                                                    : reason::kServerUnavailable;
      return Waiting{why, refusal.message};
    }
    for (const Followed* followed : all_followed()) {
      if (followed->pod == nullptr) continue;
      if (auto waiting = waiting_for(*followed->pod)) return waiting;
    }
    return {};
  }

  static Waiting waiting_for_missing(const api::Reference& missing) {
    using Kind = api::Reference::Kind;
    const std::string name = "'" + missing.name + "'";
    const std::string rest =
        missing.key.empty() ? " does not exist" : " does not exist or has no key '" + missing.key + "'";
    switch (missing.kind) {
      case Kind::kSecret:
        return {reason::kMissingSecret, "the Secret " + name + rest};
      case Kind::kConfigMap:
        return {reason::kMissingConfigMap, "the ConfigMap " + name + rest};
      case Kind::kClaim:
        return {reason::kMissingClaim, "the PersistentVolumeClaim " + name + rest};
      case Kind::kStorageClass:
        if (missing.name.empty()) return {reason::kMissingStorageClass, "the cluster has no default StorageClass"};
        return {reason::kMissingStorageClass, "the StorageClass " + name + rest};
    }
    return {};
  }

  std::vector<const Followed*> all_followed() const {
    std::vector<const Followed*> all{&prepare_};
    for (const Followed& stage : stages_) all.push_back(&stage);
    all.push_back(&publish_);
    return all;
  }

  void describe() {
    const bool publishing = planned() && stages_done();
    next_.phase = !planned() ? BuildPhase::kPreparing : publishing ? BuildPhase::kPublishing : BuildPhase::kBuilding;
    if (const auto waiting = waiting_reason()) {
      again_in(kLookAgain);
      return going_on(waiting->reason.c_str(), waiting->message);
    }
    if (retry_pending_) return going_on(reason::kRetrying, "the infrastructure lost a pod; it is tried again soon");
    if (next_.phase == BuildPhase::kPreparing) return going_on(reason::kPreparing, "the source is fetched");
    if (publishing) return going_on(reason::kPublishing, "the image is pushed to " + spec_.output.image);
    going_on(reason::kBuilding, stage_summary(next_.stages) + " stages are done");
  }

  void going_on(const char* why, const std::string& message) {
    set_conditions(next_, {Situation::Kind::kGoingOn, why, message}, now_);
  }

  void end(BuildPhase phase, const Situation& situation) {
    next_.phase = phase;
    next_.completion_time = now_;
    if (next_.start_time) {
      next_.duration = duration_text(std::chrono::duration_cast<std::chrono::seconds>(now_ - *next_.start_time));
    }
    for (api::StageStatus& stage : next_.stages) stop_counting(stage.work);
    stop_counting(next_.prepare);
    stop_counting(next_.publish);
    set_conditions(next_, situation, now_);
  }

  static void stop_counting(WorkStatus& status) {
    if (status.phase == WorkPhase::kPending || status.phase == WorkPhase::kRunning) {
      status.phase = WorkPhase::kCancelled;
    }
  }

  void fail(const std::string& where, const std::string& why, const std::string& message) {
    failed_ = true;
    next_.failure =
        api::FailureStatus{.stage = where, .reason = why, .message = api::shortened(message, api::kMaxMessageBytes)};
    const std::string text = where.empty() ? message : "'" + where + "': " + message;
    end(BuildPhase::kFailed, {Situation::Kind::kFailed, why, text});
  }

  void succeed() {
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

  void remember_image() {
    const api::ImageStatus& image = next_.image;
    next_.history.insert(next_.history.begin(),
                         api::PastImage{image.reference, image.digest, image.generation, image.completion_time});
    if (next_.history.size() > api::kMaxHistory) next_.history.resize(api::kMaxHistory);
  }

  // --- A build that is finished ----------------------------------------------------------------------------------

  void refresh_conditions() {
    for (api::Condition& condition : next_.conditions) condition.observed_generation = build_.generation;
  }

  // Nothing runs on; what failed is kept for a while, to look into it.
  void clean_up() {
    // The end must be in the API server before the pods that prove it go.
    const bool written = is_finished(build_.status) && build_.status.build == next_.build;
    const auto ttl = std::chrono::seconds(spec_.ttl_seconds_after_finished.value_or(api::kDefaultTtlSeconds));
    const WallTime keep_until = next_.completion_time.value_or(now_) + ttl;
    const bool keep = next_.phase == BuildPhase::kFailed && now_ < keep_until;
    bool anything = false;
    for (const Pod& pod : observed_.pods) {
      if (!is_current(pod)) continue;
      anything = true;
      if (pod.active() || (written && !keep)) remove(pod);
    }
    for (const Claim& claim : observed_.claims) {
      if (claim.generation != generation()) continue;
      anything = true;
      if (written && !keep) remove(claim);
    }
    const std::string record = record_name(build_, generation());
    const bool recorded = std::ranges::find(observed_.records, record) != observed_.records.end();
    if (recorded && written && !keep) act(DeleteRecord{record});
    if (keep && (anything || recorded)) again_at(keep_until);
  }

  // --- Actions ---------------------------------------------------------------------------------------------------

  void act(Action action) { actions_.push_back(std::move(action)); }
  void remove(const Pod& pod) {
    const bool asked = std::ranges::find(actions_, Action(DeletePod{pod.name})) != actions_.end();
    if (!pod.deletion && !asked) act(DeletePod{pod.name});
  }
  void remove(const Claim& claim) {
    if (!claim.deleting) act(DeleteClaim{claim.name});
  }
  void again_at(WallTime when) {
    again_in(std::chrono::ceil<milliseconds>(std::max(when - now_, WallTime::duration::zero())));
  }
  void again_in(milliseconds delay) { again_ = again_ ? std::min(*again_, delay) : delay; }

  Decision finish() {
    // A build that has ended starts nothing.
    if (is_finished(next_)) {
      std::erase_if(actions_, [](const Action& action) {
        return std::holds_alternative<CreatePod>(action) || std::holds_alternative<CreateClaim>(action) ||
               std::holds_alternative<RecordPlan>(action) || std::holds_alternative<ReadOutcome>(action);
      });
    }
    next_.stage_summary = stage_summary(next_.stages);
    if (superseded_) act(*superseded_);
    for (EmitEvent& event : events_between(before_, next_)) act(std::move(event));
    if (again_) act(RequeueAfter{*again_});
    return {std::move(actions_), std::move(next_)};
  }

  const Observed& observed_;
  const api::ImageBuild& build_;
  const api::ImageBuildSpec& spec_;
  api::ImageBuildStatus before_;  // Of this build, as the last decision left it.
  api::ImageBuildStatus next_;
  const WallTime now_;
  std::vector<Action> actions_;
  std::optional<milliseconds> again_;
  std::optional<EmitEvent> superseded_;

  Followed prepare_, publish_;
  std::vector<Followed> stages_;
  std::vector<Place> places_;
  std::optional<api::ImageStatus> published_;
  bool claim_broken_ = false;
  bool retry_pending_ = false;
  bool failed_ = false;
};

}  // namespace

Decision reconcile(const Observed& observed) {
  return Reconciler(observed).run();
}

}  // namespace imagebuild::build
