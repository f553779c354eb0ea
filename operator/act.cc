#include "operator/act.h"

#include <algorithm>
#include <thread>

#include "api/job.h"
#include "base/overloaded.h"
#include "build/reconcile_names.h"
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
    make(create.name, memory_.made_claims, [&] { return create_claim(create); });
  }

  void operator()(const build::CreatePod& create) {
    if (create.early) return create_ahead(create);
    create_pod(create);
  }

  void create_pod(const build::CreatePod& create) {
    make(create.name, memory_.made_pods, [&]() -> kube::ApiResult<kube::Json> {
      if (wants_record(create)) {
        if (const auto record = create_record(create.generation); !record.ok()) return record.error();
      }
      ASSIGN_OR_RETURN(kube::Json pod, parts_.client.create(
                                           kube::pods(), make_pod(build_, seen_.plan, create, parts_.settings), stop_));
      return project_pod(std::move(pod));
    });
  }

  // What is made before its time may be refused, by a quota for one: that is no news, and nobody waits for it.
  void create_ahead(const build::CreatePod& create) {
    if (memory_.made_pods.contains(create.name)) return;
    if (parts_.now() < memory_.no_pod_ahead_until) {
      return come_back(std::chrono::ceil<std::chrono::milliseconds>(memory_.no_pod_ahead_until - parts_.now()));
    }
    auto made = parts_.client.create(kube::pods(), make_pod(build_, seen_.plan, create, parts_.settings), stop_);
    if (made.ok()) return note(memory_.made_pods, create.name, project_pod(*std::move(made)));
    if (!made.error().is_already_exists()) memory_.no_pod_ahead_until = parts_.now() + kFirstRefusalDelay;
  }

  void operator()(const build::RecordPlan& record) {
    const std::string pod = preparing_pod(seen_);
    const kube::ApiStatus written = record_plan(record, pod);
    if (!written.ok()) return failed(written.error());
    memory_.recorded_plan_of = pod;
  }

  void operator()(const build::DeletePod& pod) { remove(kube::pods(), pod.name); }
  void operator()(const build::DeleteClaim& claim) { remove(claims(), claim.name); }
  void operator()(const build::DeleteRecord& record) {
    if (remove(config_maps(), record.name)) memory_.removed_records[record.name] = parts_.now() + kWatchPatience;
  }

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

  // Of lay_ground(). Both at once.
  void lay_ground(const build::CreateClaim* claim, const build::CreatePod* prepare) {
    const auto make_claim_ready = [&] {
      auto made = create_claim(*claim);
      if (made.ok()) note(memory_.made_claims, claim->name, *std::move(made));
    };
    std::jthread other;
    if (claim != nullptr && prepare != nullptr) {
      other = std::jthread(make_claim_ready);
    } else if (claim != nullptr) {
      make_claim_ready();
    }
    if (prepare == nullptr || !wants_record(*prepare)) return;
    const auto made = create_record(prepare->generation);  // What fails is tried again before the pod.
    static_cast<void>(made);
  }

  Acted take() { return std::move(acted_); }

 private:
  void note(MadeObjects& to, const std::string& name, kube::Json object) const {
    to[name] = {std::make_shared<const kube::Json>(std::move(object)), parts_.now() + kWatchPatience};
  }

  void note_record(const std::string& name, kube::Json record) const {
    memory_.removed_records.erase(name);
    note(memory_.made_records, name, project_record(std::move(record)));
  }

  kube::ApiResult<kube::Json> create_claim(const build::CreateClaim& create) const {
    ASSIGN_OR_RETURN(kube::Json claim, parts_.client.create(claims(), make_claim(build_, create), stop_));
    return project_claim(std::move(claim));
  }

  // Creates an object that nobody else makes: one that exists is ours already.
  template <class Create>
  void make(const std::string& name, MadeObjects& kind, const Create& create) {
    if (kind.contains(name)) return;
    const auto before = memory_.refused.find(name);
    if (before != memory_.refused.end() && parts_.now() < before->second.next_try) {
      return come_back(std::chrono::ceil<std::chrono::milliseconds>(before->second.next_try - parts_.now()));
    }
    kube::ApiResult<kube::Json> made = create();
    if (made.ok() || made.error().is_already_exists()) {
      memory_.refused.erase(name);
      if (made.ok()) note(kind, name, *std::move(made));
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

  // It is to mount it.
  bool wants_record(const build::CreatePod& create) const {
    return create.work.role == build::PodRole::kPrepare &&
           !memory_.made_records.contains(build::record_name(build_, create.generation)) &&
           !job_text(build_, create.generation, parts_.settings.registries);
  }

  // Sees to it that there is one.
  kube::ApiStatus create_record(std::int64_t generation) const {
    ASSIGN_OR_RETURN(const kube::Json record, record_of(generation, std::nullopt));
    auto created = parts_.client.create(config_maps(), record, stop_);
    if (!created.ok()) {
      return created.error().is_already_exists() ? kube::ApiStatus(std::monostate{}) : created.error();
    }
    note_record(kube::key_of(record).name, *std::move(created));
    return std::monostate{};
  }

  // Puts the plan into the record, which is there already where prepare read its job from it.
  kube::ApiStatus record_plan(const build::RecordPlan& action, const std::string& planned_by) const {
    ASSIGN_OR_RETURN(kube::Json record, record_of(action.generation, seen_.plan));
    record["metadata"]["annotations"][kPlannedByAnnotation] = planned_by;
    const bool is_there = memory_.made_records.contains(action.name) ||
                          std::ranges::find(seen_.records, action.name) != seen_.records.end();
    auto written = is_there ? parts_.client.update(config_maps(), record, stop_)
                            : parts_.client.create(config_maps(), record, stop_);
    if (!written.ok() && written.error().is_not_found()) {
      written = parts_.client.create(config_maps(), record, stop_);
    } else if (!written.ok() && written.error().is_already_exists()) {
      written = parts_.client.update(config_maps(), record, stop_);
    }
    if (!written.ok()) return written.error();
    if (!is_there) note_record(action.name, *std::move(written));
    return std::monostate{};
  }

  Result<kube::Json> record_of(std::int64_t generation, const std::optional<api::Plan>& plan) const {
    api::ImageBuild resolved = build_;
    const auto value_of = [&](const api::KeyRef& ref) { return config_map_value(ref); };
    ASSIGN_OR_RETURN(resolved.spec, resolve_build_args(build_.spec, value_of));
    return make_record(resolved, generation, plan, parts_.settings.registries);
  }

  std::optional<std::string> config_map_value(const api::KeyRef& ref) const {
    const auto object = parts_.client.get(config_maps(), {build_.ns, ref.name}, stop_);
    if (!object.ok()) return std::nullopt;
    const kube::Json& data = kube::at(*object, {"data"});
    const auto value = data.find(ref.key);
    if (value == data.end() || !value->is_string()) return std::nullopt;
    return value->get<std::string>();
  }

  // Whether it is gone, or going.
  bool remove(const kube::Resource& resource, const std::string& name) {
    for (MadeObjects* made : {&memory_.made_pods, &memory_.made_claims, &memory_.made_records}) made->erase(name);
    const auto removed = parts_.client.remove(resource, {build_.ns, name}, {}, stop_);
    const bool gone = removed.ok() || removed.error().is_not_found();
    if (!gone) failed(removed.error());
    return gone;
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

bool Actor::needs_ground(const build::Decision& decision, const Recollection& memory) {
  return memory.refused.empty() && std::ranges::any_of(decision.actions, [](const build::Action& action) {
           const auto* pod = std::get_if<build::CreatePod>(&action);
           return std::holds_alternative<build::CreateClaim>(action) ||
                  (pod != nullptr && pod->work.role == build::PodRole::kPrepare);
         });
}

void Actor::lay_ground(const build::Decision& decision, const build::Observed& seen, const kube::Json& object,
                       Recollection& memory, std::stop_token stop) const {
  const build::CreateClaim* claim = nullptr;
  const build::CreatePod* prepare = nullptr;
  for (const build::Action& action : decision.actions) {
    if (const auto* found = std::get_if<build::CreateClaim>(&action)) claim = found;
    const auto* pod = std::get_if<build::CreatePod>(&action);
    if (pod != nullptr && pod->work.role == build::PodRole::kPrepare) prepare = pod;
  }
  Round(parts_, seen, object, memory, std::move(stop)).lay_ground(claim, prepare);
}

Acted Actor::act(const build::Decision& decision, const build::Observed& seen, const kube::Json& object,
                 Recollection& memory, std::stop_token stop) const {
  // A decision speaks of the status that it made: names and events go by it.
  Round round(parts_, seen, object, memory, std::move(stop));
  for (const build::Action& action : decision.actions) std::visit(round, action);
  return round.take();
}

}  // namespace imagebuild::op
