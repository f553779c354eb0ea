#include "operator/observe.h"

#include <algorithm>

#include "build/reconcile_names.h"
#include "build/reconcile_report.h"
#include "operator/objects.h"
#include "operator/pods/metadata.h"
#include "operator/pods/record.h"

namespace imagebuild::op {

namespace {

// The build that runs, or is about to, is not the one that the status speaks of.
bool spec_changed(const api::ImageBuild& build) {
  return build.status.build.spec_digest != build.spec_digest;
}

// Adds what was made and is not shown yet.
void add_made(MadeObjects& made, kube::SteadyTime now, std::vector<kube::Object>& to) {
  std::erase_if(made, [&](const auto& entry) {
    const auto& [name, one] = entry;
    return now >= one.believed_until ||
           std::ranges::any_of(to, [&](const kube::Object& shown) { return kube::key_of(*shown).name == name; });
  });
  for (const auto& [name, one] : made) to.push_back(one.object);
}

}  // namespace

std::string preparing_pod(const build::Observed& seen) {
  const build::Pod* last = nullptr;
  for (const build::Pod& pod : seen.pods) {
    if (pod.work.role != build::PodRole::kPrepare || pod.generation != seen.build.status.build.generation) continue;
    if (last == nullptr || pod.attempt > last->attempt) last = &pod;
  }
  return last != nullptr ? last->name : seen.build.status.prepare.pod;
}

Result<build::Observed> Observer::observe(api::ImageBuild build, Recollection& memory, std::stop_token stop) const {
  build::Observed seen;
  seen.build = std::move(build);
  seen.now = parts_.now();
  const Owned owned = owned_by(seen.build.uid, memory);
  read_pods(owned.pods, memory, seen);
  for (const kube::Object& object : owned.claims) {
    ASSIGN_OR_RETURN(build::Claim claim, claim_from(*object));
    seen.claims.push_back(std::move(claim));
  }
  for (const kube::Object& record : owned.records) seen.records.push_back(kube::key_of(*record).name);
  RETURN_IF_ERROR(read_plan(owned, memory, seen, stop));
  seen.slot_free = slot_free(seen.build);
  const bool over = build::is_finished(seen.build.status) && !spec_changed(seen.build);
  // One that failed may have something to keep.
  const bool may_keep = seen.build.status.phase != api::BuildPhase::kSucceeded && !seen.claims.empty();
  if ((!over || may_keep) && !seen.build.spec_error) use_default_cache(seen.build, stop);
  if (!over && !seen.build.spec_error) {
    seen.missing = parts_.references.missing(seen.build.ns, api::references(seen.build.spec), stop);
    seen.claim_binds_at_once = parts_.references.binds_at_once(seen.build.spec.artifacts.volume.storage_class_name);
  }
  for (const auto& [name, refused] : memory.refused) seen.refusals.push_back(refused.refusal);
  return seen;
}

Owned Observer::owned_by(const std::string& uid, Recollection& memory) const {
  Owned owned = parts_.inventory.owned_by(uid);
  const kube::SteadyTime now = parts_.steady_now();
  add_made(memory.made_pods, now, owned.pods);
  add_made(memory.made_claims, now, owned.claims);
  add_made(memory.made_records, now, owned.records);
  std::erase_if(owned.records, [&](const kube::Object& shown) {
    const auto removed = memory.removed_records.find(kube::key_of(*shown).name);
    return removed != memory.removed_records.end() && now < removed->second;
  });
  return owned;
}

// Where the namespace lacks what the operator's default needs, builds go without it.
void Observer::use_default_cache(api::ImageBuild& build, std::stop_token stop) const {
  const api::CacheSettings wanted = api::cache_or_default(build.spec, parts_.default_cache);
  if (wanted == build.spec.cache) return;
  api::ImageBuildSpec only_cache;
  only_cache.artifacts.transport = api::Transport::kRegistry;  // Without a storage class.
  only_cache.cache = wanted;
  if (parts_.references.missing(build.ns, api::references(only_cache), stop).empty()) build.spec.cache = wanted;
}

void Observer::read_pods(const std::vector<kube::Object>& pods, const Recollection& memory,
                         build::Observed& seen) const {
  for (const kube::Object& object : pods) {
    auto pod = pod_from(*object);
    if (!pod.ok()) continue;  // Somebody took its labels: it is no pod of ours any more.
    const auto heard = parts_.reports.find(seen.build.uid, pod->name);
    if (heard) add_report(*object, heard->told, *pod);
    pod->outcome_read = memory.outcomes_read.contains(pod->name);
    seen.pods.push_back(std::move(*pod));
  }
}

Status Observer::read_plan(const Owned& owned, Recollection& memory, build::Observed& seen,
                           std::stop_token stop) const {
  const std::string pod = preparing_pod(seen);
  if (pod.empty() || spec_changed(seen.build)) return ok();
  const std::string name = build::record_name(seen.build, seen.build.status.build.generation);
  const auto record =
      std::ranges::find(owned.records, name, [](const kube::Object& object) { return kube::key_of(*object).name; });
  seen.plan_recorded = record != owned.records.end() && (planned_by(**record) == pod || memory.recorded_plan_of == pod);
  if (!memory.plan || memory.plan->pod != pod) {
    memory.plan.reset();
    const auto heard = parts_.reports.find(seen.build.uid, pod);
    if (heard && heard->plan) {
      memory.plan = KnownPlan{pod, heard->plan};
    } else if (seen.plan_recorded) {
      ASSIGN_OR_RETURN(const kube::Json whole, parts_.client.get(config_maps(), {seen.build.ns, name}, stop));
      ASSIGN_OR_RETURN(std::optional<api::Plan> plan, plan_in(whole));
      if (plan) memory.plan = KnownPlan{pod, std::make_shared<const api::Plan>(std::move(*plan))};
    }
  }
  if (memory.plan) seen.plan = *memory.plan->plan;
  return ok();
}

bool Observer::slot_free(const api::ImageBuild& build) const {
  const api::ImageBuildStatus& status = build.status;
  const bool over = build::is_finished(status) || spec_changed(build);
  if (!over && status.start_time && status.phase != api::BuildPhase::kSuspended) {
    parts_.slots.hold(build.uid);
    return true;
  }
  const bool idle = build.deleting || build.spec.suspend || (build::is_finished(status) && !spec_changed(build));
  return !idle && parts_.slots.request(build.uid, {build.ns, build.name}, build.created);
}

}  // namespace imagebuild::op
