#include "operator/act.h"

#include <algorithm>

#include "api/job.h"
#include "base/overloaded.h"
#include "operator/inventory.h"
#include "operator/objects.h"
#include "operator/observe.h"
#include "operator/pods/claim.h"
#include "operator/pods/metadata.h"
#include "operator/pods/record.h"

namespace imagebuild::op {

namespace {

constexpr std::chrono::milliseconds kFirstRefusalDelay{1'000}, kLongestRefusalDelay{30'000};
constexpr std::uint64_t kMaxLogBytes = 64ULL * 1024 * 1024;
constexpr int kLogTries = 5;

// The told in the last line of a log that has one.
std::optional<api::Told> told_in(std::string_view log) {
  const std::string_view prefix = api::job::kToldPrefix;
  const std::size_t at = log.rfind(prefix);
  if (at == std::string_view::npos || (at != 0 && log[at - 1] != '\n')) return std::nullopt;
  const std::string_view line = log.substr(at + prefix.size());
  auto told = api::Told::parse(line.substr(0, line.find('\n')));
  return told.ok() ? std::optional(std::move(*told)) : std::nullopt;
}

}  // namespace

// The actions of one decision.
class Actor::Round {
 public:
  Round(const ActorParts& parts, const build::Observed& seen, const kube::Json& object, Recollection& memory,
        std::stop_token stop)
      : parts_(parts), seen_(seen), build_(seen.build), object_(object), memory_(memory), stop_(std::move(stop)) {}

  void operator()(const build::CreateClaim& create) {
    make(create.name, [&] { return parts_.client.create(claims(), make_claim(build_, create), stop_); });
  }

  void operator()(const build::CreatePod& create) {
    make(create.name, [&]() -> kube::ApiResult<kube::Json> {
      if (create.work.role == build::PodRole::kPrepare) {
        if (auto record = write_record(create.generation, std::nullopt, ""); !record.ok()) return record.error();
      }
      return parts_.client.create(kube::pods(), make_pod(build_, seen_.plan, create, parts_.settings), stop_);
    });
  }

  void operator()(const build::RecordPlan& record) {
    const auto written = write_record(record.generation, seen_.plan, preparing_pod(seen_));
    if (!written.ok()) failed(written.error());
  }

  void operator()(const build::DeletePod& pod) { remove(kube::pods(), pod.name); }
  void operator()(const build::DeleteClaim& claim) { remove(claims(), claim.name); }
  void operator()(const build::DeleteRecord& record) { remove(config_maps(), record.name); }

  void operator()(const build::ReadOutcome& read) {
    // A stage's pod may have another container beside the stage's.
    const auto pod = std::ranges::find(seen_.pods, read.pod, &build::Pod::name);
    const bool is_stage = pod != seen_.pods.end() && pod->work.role == build::PodRole::kStage;
    const kube::LogOptions options{.container = is_stage ? role_name(build::PodRole::kStage) : "",
                                   .limit_bytes = kMaxLogBytes};
    const auto log = parts_.client.pod_log({build_.ns, read.pod}, options, stop_);
    if (log.ok()) {
      if (auto told = told_in(*log)) {
        const Status taken = parts_.reports.tell(build_.uid, read.pod, std::move(*told));
        if (!taken.ok()) failed(taken.error().in("the log of pod " + read.pod));
      }
    } else if (!log.error().is_not_found() && ++memory_.log_failures[read.pod] < kLogTries) {
      return failed(log.error());
    }
    memory_.outcomes_read.insert(read.pod);
    acted_.decide_again = true;
  }

  void operator()(const build::EmitEvent& event) {
    parts_.events.record({.regarding = kube::reference_to(object_),
                          .type = event.warning ? kube::EventType::kWarning : kube::EventType::kNormal,
                          .reason = event.reason,
                          .action = "Build",
                          .note = event.note});
  }

  void operator()(const build::RequeueAfter& again) { come_back(again.delay); }

  Acted take() { return std::move(acted_); }

 private:
  // Creates an object that nobody else makes: one that exists is ours already.
  template <class Create>
  void make(const std::string& name, const Create& create) {
    const auto before = memory_.refused.find(name);
    if (before != memory_.refused.end() && parts_.now() < before->second.next_try) {
      return come_back(std::chrono::ceil<std::chrono::milliseconds>(before->second.next_try - parts_.now()));
    }
    const kube::ApiResult<kube::Json> made = create();
    if (made.ok() || made.error().is_already_exists()) {
      memory_.refused.erase(name);
      return;
    }
    if (made.error().code == ErrorCode::kCancelled) return;
    refuse(name, made.error());
  }

  void refuse(const std::string& name, const kube::ApiError& error) {
    RefusedCreation& refused = memory_.refused[name];
    const bool news = refused.delay.count() == 0;
    refused.delay = news ? kFirstRefusalDelay : std::min(refused.delay * 2, kLongestRefusalDelay);
    refused.next_try = parts_.now() + refused.delay;
    build::Refusal refusal = refusal_from(name, error);
    if (news || refusal.message != refused.refusal.message) acted_.decide_again = true;
    refused.refusal = std::move(refusal);
    come_back(refused.delay);
  }

  // With the plan it replaces what is there; without, it only sees to it that there is one.
  kube::ApiResult<kube::Json> write_record(std::int64_t generation, const std::optional<api::Plan>& plan,
                                           const std::string& planned_by) {
    api::ImageBuild resolved = build_;
    const auto value_of = [&](const api::KeyRef& ref) { return config_map_value(ref); };
    ASSIGN_OR_RETURN(resolved.spec, resolve_build_args(build_.spec, value_of));
    kube::Json record = make_record(resolved, generation, plan, parts_.registries);
    if (plan) record["metadata"]["annotations"][kPlannedByAnnotation] = planned_by;
    auto created = parts_.client.create(config_maps(), record, stop_);
    if (created.ok() || !created.error().is_already_exists()) return created;
    if (!plan) return record;
    return parts_.client.update(config_maps(), record, stop_);
  }

  std::optional<std::string> config_map_value(const api::KeyRef& ref) {
    const auto object = parts_.client.get(config_maps(), {build_.ns, ref.name}, stop_);
    if (!object.ok()) return std::nullopt;
    const kube::Json& data = kube::at(*object, {"data"});
    const auto value = data.find(ref.key);
    if (value == data.end() || !value->is_string()) return std::nullopt;
    return value->get<std::string>();
  }

  void remove(const kube::Resource& resource, const std::string& name) {
    const auto removed = parts_.client.remove(resource, {build_.ns, name}, {}, stop_);
    if (!removed.ok() && !removed.error().is_not_found()) failed(removed.error());
  }

  void failed(const Error& error) {
    if (!acted_.error) acted_.error = error;
  }
  void come_back(std::chrono::milliseconds delay) {
    acted_.after = acted_.after ? std::min(*acted_.after, delay) : delay;
  }

  const ActorParts& parts_;
  const build::Observed& seen_;
  const api::ImageBuild& build_;
  const kube::Json& object_;
  Recollection& memory_;
  const std::stop_token stop_;
  Acted acted_;
};

Acted Actor::act(const build::Decision& decision, const build::Observed& seen, const kube::Json& object,
                 Recollection& memory, std::stop_token stop) const {
  // A decision speaks of the status that it made: names and events go by it.
  Round round(parts_, seen, object, memory, std::move(stop));
  for (const build::Action& action : decision.actions) std::visit(round, action);
  return round.take();
}

}  // namespace imagebuild::op
