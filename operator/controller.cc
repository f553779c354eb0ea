#include "operator/controller.h"

#include <algorithm>
#include <iterator>

#include "build/reconcile_report.h"
#include "operator/measure.h"
#include "operator/objects.h"

namespace imagebuild::op {

namespace {

std::string phase_of(const kube::Json& object) {
  return kube::text_at(object, {"status", "phase"});
}

// It has a slot.
bool is_under_way(const api::ImageBuildStatus& status) {
  return status.start_time && !build::is_finished(status) && status.phase != api::BuildPhase::kSuspended;
}

std::string ready_reason(const api::ImageBuildStatus& status) {
  const api::Condition* ready = api::find_condition(status, api::kReadyCondition);
  return ready == nullptr ? "" : ready->reason;
}

bool is_pod_ahead(const build::Action& action) {
  const auto* pod = std::get_if<build::CreatePod>(&action);
  return pod != nullptr && pod->early;
}

// Nothing is done that the status must know of before, and nothing happened that is worth an event.
bool only_tells(const build::Decision& decision) {
  return std::ranges::all_of(decision.actions, [](const build::Action& action) {
    return std::holds_alternative<build::RequeueAfter>(action) || is_pod_ahead(action);
  });
}

build::Decision only_pods_ahead(const build::Decision& decision) {
  build::Decision result{{}, decision.status};
  std::ranges::copy_if(decision.actions, std::back_inserter(result.actions), is_pod_ahead);
  return result;
}

}  // namespace

void Controller::start() {
  for (int i = 0; i < parts_.workers; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) {
      if (!parts_.inventory.wait_for_sync(stop)) return;
      std::call_once(taken_over_, [this] { take_over(); });
      work(stop);
    });
  }
}

void Controller::stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  {
    std::unique_lock lock(mutex_);
    idle_.wait_for(lock, kStopGrace, [&] { return active_ == 0; });
  }
  cut_off_.request_stop();
  threads_.clear();
}

// Whoever led before may have left builds under way: they have their slots before any other gets one.
void Controller::take_over() {
  const std::vector<kube::Object> objects = parts_.inventory.builds();
  for (const kube::Object& object : objects) {
    if (is_settled(*object)) continue;
    const auto build = api::ImageBuild::parse(object->dump());
    if (build.ok() && is_under_way(build->status)) parts_.slots.hold(build->uid);
  }
  for (const kube::Object& object : objects) parts_.queue.add(kube::key_of(*object));
}

void Controller::work(const std::stop_token& stop) {
  const auto count = [this](int change) {
    const std::lock_guard lock(mutex_);
    active_ += change;
    idle_.notify_all();
  };
  while (const auto key = parts_.queue.take(stop)) {
    count(1);
    reconcile(*key, cut_off_.get_token());
    parts_.queue.done(*key);
    count(-1);
  }
}

void Controller::reconcile(const kube::ObjectKey& key, std::stop_token stop) {
  const auto began = std::chrono::steady_clock::now();
  parts_.metrics.reconcile_started();
  const Outcome outcome = decide_and_act(key, stop);
  if (outcome.error && outcome.error->code != ErrorCode::kCancelled) {
    parts_.log.warning("cannot go on with a build for now", {{"build", key.str()}, {"error", outcome.error->message}});
    parts_.queue.add_rate_limited(key);
  } else {
    if (outcome.result != ReconcileResult::kRequeue) parts_.queue.forget(key);
    if (outcome.result == ReconcileResult::kRequeue) parts_.queue.add_rate_limited(key);
    if (outcome.after) parts_.queue.add_after(key, *outcome.after);
  }
  parts_.metrics.reconciled(outcome.result, std::chrono::steady_clock::now() - began);
}

kube::Object Controller::newest(const kube::Object& watched, Recollection& memory) {
  if (memory.written) {
    const std::string version = kube::resource_version_of(*watched);
    if (memory.replaced_versions.contains(version)) return memory.written;
    memory.replaced_versions.clear();
    if (is_settled(*watched) && kube::resource_version_of(*memory.written) == version) return memory.written;
    memory.written.reset();
  }
  return watched;
}

kube::ApiResult<kube::Object> Controller::whole(const kube::ObjectKey& key, Recollection& memory,
                                                const std::stop_token& stop) const {
  ASSIGN_OR_RETURN(kube::Json object, parts_.client.get(image_builds(), key, stop));
  object["metadata"].erase("managedFields");
  memory.written = std::make_shared<const kube::Json>(std::move(object));
  return memory.written;
}

Result<std::shared_ptr<const api::ImageBuild>> Controller::parsed(const kube::Object& object, Recollection& memory) {
  if (memory.parsed_from != object) {
    ASSIGN_OR_RETURN(api::ImageBuild build, api::ImageBuild::parse(object->dump()));
    memory.parsed = std::make_shared<const api::ImageBuild>(std::move(build));
    memory.parsed_from = object;
  }
  return memory.parsed;
}

Controller::Outcome Controller::decide_and_act(const kube::ObjectKey& key, const std::stop_token& stop) {
  const kube::Object watched = parts_.inventory.build(key);
  if (!watched) {
    forget(key);
    return {};
  }
  const std::string uid = kube::uid_of(*watched), known = recollections_.uid_of(key);
  if (!known.empty() && known != uid) forget(key);  // Another object by the same name.
  if (is_settled(*watched) && !parts_.inventory.owns_anything(uid)) {
    settle(key, uid);
    return {};
  }
  Recollection& memory = recollections_.of(key, uid);
  kube::Object object = newest(watched, memory);
  if (is_settled(*object)) {
    auto got = whole(key, memory, stop);
    if (!got.ok()) return got.error().is_not_found() ? Outcome() : Outcome{ReconcileResult::kError, got.error(), {}};
    object = *std::move(got);
    if (kube::uid_of(*object) != uid) return {};  // The watch will show the other one.
  }
  const auto build = parsed(object, memory);
  if (!build.ok()) return {ReconcileResult::kError, build.error(), {}};
  if ((*build)->deleting) {  // Everything of it goes with it.
    release_slot(uid);
    return {};
  }
  return decide_and_act(**build, *object, memory, stop);
}

Controller::Outcome Controller::decide_and_act(const api::ImageBuild& build, const kube::Json& object,
                                               Recollection& memory, const std::stop_token& stop) {
  parts_.metrics.know_namespace(build.ns);
  const auto seen = parts_.observer.observe(build, memory, stop);
  if (!seen.ok()) return {ReconcileResult::kError, seen.error(), {}};
  const build::Decision decision = build::reconcile(*seen);
  if (const auto wait = may_wait(decision, build.status, memory)) {
    settle_slot(build, decision.status);
    const Acted acted = parts_.actor.act(only_pods_ahead(decision), *seen, object, memory, stop);
    return {ReconcileResult::kRequeueAfter, {}, std::min(acted.after.value_or(*wait), *wait)};
  }
  if (decision.status != build.status) {
    std::jthread ground;
    if (Actor::needs_ground(decision, memory)) {
      ground = std::jthread([&] { parts_.actor.lay_ground(decision, *seen, object, memory, stop); });
    }
    const auto written = write_status(object, decision.status, memory, stop);
    if (ground.joinable()) ground.join();
    if (!written.ok()) {
      if (written.error().is_not_found()) return {};
      if (written.error().is_conflict()) return {ReconcileResult::kRequeue, {}, {}};
      return {ReconcileResult::kError, written.error(), {}};
    }
    measure(*seen, decision.status, parts_.metrics);
  }
  settle_slot(build, decision.status);
  Acted acted = parts_.actor.act(decision, *seen, object, memory, stop);
  if (acted.decide_again) parts_.queue.add({build.ns, build.name});
  if (!memory.made_pods.empty() || !memory.made_claims.empty() || !memory.made_records.empty()) {
    acted.after = std::min<std::chrono::milliseconds>(acted.after.value_or(kWatchPatience), kWatchPatience);
  }
  if (acted.error) return {ReconcileResult::kError, std::move(acted.error), acted.after};
  return {acted.after ? ReconcileResult::kRequeueAfter : ReconcileResult::kSuccess, {}, acted.after};
}

std::optional<std::chrono::milliseconds> Controller::may_wait(const build::Decision& decision,
                                                              const api::ImageBuildStatus& before,
                                                              const Recollection& memory) const {
  const api::ImageBuildStatus& after = decision.status;
  if (after == before || after.phase != before.phase || after.build != before.build || !only_tells(decision)) return {};
  if (after.observed_generation != before.observed_generation || ready_reason(after) != ready_reason(before)) return {};
  const kube::SteadyTime due = memory.written_at + parts_.status_pace, now = parts_.now();
  if (memory.written_at == kube::SteadyTime{} || now >= due) return {};
  auto wait = std::chrono::ceil<std::chrono::milliseconds>(due - now);
  for (const build::Action& action : decision.actions) {
    if (const auto* again = std::get_if<build::RequeueAfter>(&action)) wait = std::min(wait, again->delay);
  }
  return wait;
}

kube::ApiStatus Controller::write_status(const kube::Json& object, const api::ImageBuildStatus& status,
                                         Recollection& memory, const std::stop_token& stop) const {
  kube::Json wanted = object;
  wanted["status"] = kube::Json::parse(api::status_json(status));
  ASSIGN_OR_RETURN(kube::Json written, parts_.client.update_status(image_builds(), wanted, stop));
  written["metadata"].erase("managedFields");
  if (phase_of(object) != phase_of(written)) {
    parts_.log.info("a build changed its phase",
                    {{"build", kube::key_of(object).str()}, {"from", phase_of(object)}, {"to", phase_of(written)}});
  }
  memory.written_at = parts_.now();
  memory.replaced_versions.insert(kube::resource_version_of(object));
  memory.written = std::make_shared<const kube::Json>(std::move(written));
  return std::monostate{};
}

// What is under way has a slot, what may come to that keeps its place, everything else has none.
void Controller::settle_slot(const api::ImageBuild& build, const api::ImageBuildStatus& status) {
  if (is_under_way(status)) {
    parts_.slots.hold(build.uid);
  } else if (build::is_finished(status) || status.phase == api::BuildPhase::kSuspended) {
    release_slot(build.uid);
  }
  parts_.metrics.builds_running(parts_.slots.held());
}

void Controller::release_slot(const std::string& uid) {
  for (const kube::ObjectKey& key : parts_.slots.release(uid)) parts_.queue.add(key);
}

void Controller::forget(const kube::ObjectKey& key) {
  const std::string uid = recollections_.forget(key);
  parts_.queue.forget(key);
  if (uid.empty()) return;
  release_slot(uid);
  parts_.reports.forget(uid);
  if (parts_.inventory.builds_in(key.ns) == 0) parts_.metrics.forget_namespace(key.ns);
  parts_.metrics.builds_running(parts_.slots.held());
}

// It has ended, and nothing of it is left in the cluster: nothing has to be remembered of it either.
void Controller::settle(const kube::ObjectKey& key, const std::string& uid) {
  parts_.metrics.know_namespace(key.ns);
  recollections_.forget(key);
  release_slot(uid);
  parts_.reports.drop(uid);
  parts_.metrics.builds_running(parts_.slots.held());
}

}  // namespace imagebuild::op
