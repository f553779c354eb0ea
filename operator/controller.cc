#include "operator/controller.h"

#include <algorithm>

#include "build/reconcile_report.h"
#include "operator/measure.h"

namespace imagebuild::op {

namespace {

std::string phase_of(const kube::Json& object) {
  return kube::text_at(object, {"status", "phase"});
}

// It has a slot.
bool is_under_way(const api::ImageBuildStatus& status) {
  return status.start_time && !build::is_finished(status) && status.phase != api::BuildPhase::kSuspended;
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

kube::Object Controller::newest(const kube::ObjectKey& key, Recollection*& memory) {
  kube::Object object = parts_.inventory.build(key);
  if (!object) return nullptr;
  const std::string known = recollections_.uid_of(key);
  if (!known.empty() && known != kube::uid_of(*object)) forget(key);  // Another object by the same name.
  memory = &recollections_.of(key, kube::uid_of(*object));
  if (memory->written && memory->replaced_versions.contains(kube::resource_version_of(*object))) return memory->written;
  memory->written.reset();
  memory->replaced_versions.clear();
  return object;
}

Controller::Outcome Controller::decide_and_act(const kube::ObjectKey& key, const std::stop_token& stop) {
  Recollection* memory = nullptr;
  const kube::Object object = newest(key, memory);
  if (!object) {
    forget(key);
    return {};
  }
  auto build = api::ImageBuild::parse(object->dump());
  if (!build.ok()) return {ReconcileResult::kError, build.error(), {}};
  if (build->deleting) {  // Everything of it goes with it.
    release_slot(build->uid);
    return {};
  }
  return decide_and_act(*build, *object, *memory, stop);
}

Controller::Outcome Controller::decide_and_act(const api::ImageBuild& build, const kube::Json& object,
                                               Recollection& memory, const std::stop_token& stop) {
  parts_.metrics.know_namespace(build.ns);
  const auto seen = parts_.observer.observe(build, memory, stop);
  if (!seen.ok()) return {ReconcileResult::kError, seen.error(), {}};
  const build::Decision decision = build::reconcile(*seen);
  if (decision.status != build.status) {
    const auto written = write_status(object, decision.status, memory, stop);
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
  if (acted.error) return {ReconcileResult::kError, std::move(acted.error), acted.after};
  return {acted.after ? ReconcileResult::kRequeueAfter : ReconcileResult::kSuccess, {}, acted.after};
}

kube::ApiStatus Controller::write_status(const kube::Json& object, const api::ImageBuildStatus& status,
                                         Recollection& memory, const std::stop_token& stop) {
  kube::Json wanted = object;
  wanted["status"] = kube::Json::parse(api::status_json(status));
  ASSIGN_OR_RETURN(kube::Json written, parts_.client.update_status(image_builds(), wanted, stop));
  written["metadata"].erase("managedFields");
  if (phase_of(object) != phase_of(written)) {
    parts_.log.info("a build changed its phase",
                    {{"build", kube::key_of(object).str()}, {"from", phase_of(object)}, {"to", phase_of(written)}});
  }
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
  const std::vector<kube::Object> builds = parts_.inventory.builds();
  const auto is_neighbour = [&](const kube::Object& object) { return kube::key_of(*object).ns == key.ns; };
  if (std::ranges::none_of(builds, is_neighbour)) parts_.metrics.forget_namespace(key.ns);
  parts_.metrics.builds_running(parts_.slots.held());
}

}  // namespace imagebuild::op
