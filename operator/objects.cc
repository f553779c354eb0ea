#include "operator/objects.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "api/reasons.h"
#include "base/timestamp.h"
#include "kube/json_text.h"
#include "operator/pods/metadata.h"

namespace imagebuild::op {

namespace {

using kube::at;
using kube::Json;
using kube::text_at;

std::optional<std::int64_t> number_label(const Json& object, const char* key) {
  const std::string text = text_at(object, {"metadata", "labels", key});
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

std::optional<int> small_label(const Json& object, const char* key) {
  const auto value = number_label(object, key);
  if (!value || *value > std::numeric_limits<int>::max()) return {};
  return static_cast<int>(*value);
}

Error foreign(const Json& object, const char* kind, const char* label) {
  return {ErrorCode::kCorrupt, std::string("the ") + kind + " " + kube::key_of(object).str() + " has no valid label " +
                                   label + ", so it was not made for a build"};
}

std::optional<WallTime> time_at(const Json& object, std::initializer_list<std::string_view> path) {
  return parse_time(text_at(object, path));
}

build::PodPhase phase_of(const std::string& text) {
  if (text == "Running") return build::PodPhase::kRunning;
  if (text == "Succeeded") return build::PodPhase::kSucceeded;
  if (text == "Failed") return build::PodPhase::kFailed;
  if (text == "Unknown") return build::PodPhase::kUnknown;
  return build::PodPhase::kPending;  // Also before the first status is written.
}

// The status of our container: admission may have put others beside it. Null before the kubelet has told.
const Json& container_status(const Json& pod, const std::string& container, const char* list = "containerStatuses") {
  static const Json kNone;
  const Json& all = at(pod, {"status", list});
  if (!all.is_array()) return kNone;
  for (const Json& one : all) {
    if (text_at(one, {"name"}) == container) return one;
  }
  return kNone;
}

// What the scheduler says of the pod. A queue such as Kueue's holds pods back by gates (SchedulingGated).
void read_scheduling(const Json& pod, build::Pod& to) {
  const Json& conditions = at(pod, {"status", "conditions"});
  if (!conditions.is_array()) return;
  for (const Json& one : conditions) {
    if (text_at(one, {"type"}) != "PodScheduled") continue;
    if (text_at(one, {"status"}) == "True") to.scheduled = time_at(one, {"lastTransitionTime"});
    const std::string reason = text_at(one, {"reason"});
    if (text_at(one, {"status"}) != "False" || (reason != "Unschedulable" && reason != "SchedulingGated")) continue;
    const std::string message = text_at(one, {"message"});
    to.unschedulable = message.empty() ? "no node can take the pod" : message;
  }
}

Status read_labels(const Json& pod, build::Pod& to) {
  const auto generation = number_label(pod, label::kGeneration);
  if (!generation) return foreign(pod, "pod", label::kGeneration);
  const auto role = parse_role(text_at(pod, {"metadata", "labels", label::kRole}));
  if (!role) return foreign(pod, "pod", label::kRole);
  const auto attempt = small_label(pod, label::kAttempt);
  if (!attempt) return foreign(pod, "pod", label::kAttempt);
  to.generation = *generation;
  to.attempt = *attempt;
  to.work.role = *role;
  if (*role != build::PodRole::kStage) return ok();
  const auto stage = small_label(pod, label::kStage);
  if (!stage) return foreign(pod, "pod", label::kStage);
  to.work.stage = *stage;
  return ok();
}

constexpr int kStartFailed = 128;

// The container's program could not even be started: containerd's word, and Docker's.
bool could_not_start(const Json& status) {
  const std::string reason = text_at(status, {"state", "terminated", "reason"});
  return reason == "StartError" || reason == "ContainerCannotRun";
}

bool ended_badly(const Json& status) {
  return kube::number_at(status, {"state", "terminated", "exitCode"}, 0) != 0;
}

// Of a stage whose artifacts move through a registry: the container to read instead of the stage's, if one is to blame.
const Json& transfer_status(const Json& pod, const Json& stage) {
  static const Json kNone;
  const Json& fetch = container_status(pod, kFetchContainer, "initContainerStatuses");
  // Before the stage's container, its own status has nothing to say.
  if (ended_badly(fetch) || at(fetch, {"state", "waiting"}).is_object()) return fetch;
  const Json& store = container_status(pod, kStoreContainer);
  const bool stage_is_well = at(stage, {"state", "terminated"}).is_object() && !ended_badly(stage);
  return stage_is_well && ended_badly(store) ? store : kNone;
}

void read_container(const Json& status, build::Pod& to) {
  to.waiting_reason = text_at(status, {"state", "waiting", "reason"});
  to.waiting_message = text_at(status, {"state", "waiting", "message"});
  to.started = time_at(status, {"state", "running", "startedAt"});
  const Json& terminated = at(status, {"state", "terminated"});
  if (!terminated.is_object()) return;
  const auto started = time_at(terminated, {"startedAt"});
  if (started && *started > WallTime{}) to.started = started;
  constexpr long long kNone = std::numeric_limits<long long>::max();
  const long long exit_code = kube::number_at(terminated, {"exitCode"}, kNone);
  if (exit_code != kNone) to.exit_code = static_cast<int>(exit_code);
  to.terminated_reason = text_at(terminated, {"reason"});
  // Where nothing is known of the end (ContainerStatusUnknown), the API server writes 1970 or null.
  const auto finished = time_at(terminated, {"finishedAt"});
  if (finished && *finished > WallTime{}) to.finished = finished;
  const std::string message = text_at(terminated, {"message"});
  if (message.empty()) return;
  if (Result<api::Told> told = api::Told::parse(message); told.ok()) {
    to.told = std::move(*told);
  } else if (to.message.empty()) {
    to.message = message;
  }
}

// The stage is done when its artifacts are stored: then the whole pod has succeeded.
void read_stage_with_transfers(const Json& pod, build::Pod& to) {
  const Json& stage = container_status(pod, role_name(build::PodRole::kStage));
  read_container(stage, to);
  const api::Told told = to.told.value_or(api::Told{});
  if (const Json& other = transfer_status(pod, stage); !other.is_null()) {
    to.told.reset();
    read_container(other, to);
    if (to.told) {
      to.told->step = told.step;
      to.told->export_bytes = told.export_bytes;
    }
  }
  // Nobody would end the container beside it: it waits for a stage that never began.
  if (could_not_start(stage) && to.active() && !to.told) {
    to.told.emplace();
    to.told->failure = api::Failure{};
    to.told->failure->code = std::string(api::error_code_name(ErrorCode::kFailed));
    to.told->failure->exit_code = to.exit_code.value_or(kStartFailed);
    to.told->failure->message = to.message.empty() ? "its container could not be started" : to.message;
  }
  if (to.told && to.phase != build::PodPhase::kSucceeded) to.told->done = false;
}

// Copies the members that are there.
void keep(const Json& from, Json& to, std::initializer_list<const char*> members) {
  for (const char* name : members) {
    if (const Json& value = at(from, {name}); !value.is_null()) to[name] = value;
  }
}

Json kept_metadata(const Json& object) {
  Json result = Json::object();
  keep(at(object, {"metadata"}), result,
       {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels",
        "ownerReferences"});
  return result;
}

// The elements whose `member` has the value.
Json elements(const Json& list, const char* member, const std::string& value) {
  Json result = Json::array();
  if (!list.is_array()) return result;
  for (const Json& one : list) {
    if (text_at(one, {member}) == value) result.push_back(one);
  }
  return result;
}

// Name and state of those of our containers that are there.
Json states_of(const Json& statuses, std::initializer_list<std::string> names) {
  Json result = Json::array();
  for (const std::string& name : names) {
    for (const Json& status : elements(statuses, "name", name)) {
      Json one = Json::object();
      keep(status, one, {"name", "state"});
      result.push_back(std::move(one));
    }
  }
  return result;
}

constexpr const char* kSettled = "settled";

bool is_end(std::string_view phase) {
  return phase == "Succeeded" || phase == "Failed" || phase == "Cancelled";
}

// A spec that an older operator called wrong is looked at again.
bool is_called_wrong(const Json& build) {
  const Json& conditions = at(build, {"status", "conditions"});
  return conditions.is_array() && std::ranges::any_of(conditions, [](const Json& one) {
           return text_at(one, {"reason"}) == api::reason::kInvalidSpec;
         });
}

// The last decision was made for the spec as it is, and it was the last.
bool asks_for_nothing(const Json& build) {
  constexpr long long kNone = -1;
  const long long generation = kube::number_at(build, {"metadata", "generation"}, kNone);
  return generation != kNone && kube::number_at(build, {"status", "observedGeneration"}, kNone) == generation &&
         is_end(text_at(build, {"status", "phase"})) && !is_called_wrong(build) &&
         at(build, {"metadata", "deletionTimestamp"}).is_null();
}

}  // namespace

Json project_build(Json build) {
  if (asks_for_nothing(build)) return {{kSettled, true}};
  if (build.contains("metadata")) build["metadata"].erase("managedFields");
  return build;
}

std::optional<Json> project_settled(std::string_view text) {
  std::string_view generation, observed, phase, status;
  bool deleting = false;
  Json metadata = Json::object();
  const auto read_metadata = [&](std::string_view name, std::string_view value) {
    if (name == "generation") generation = value;
    if (name == "deletionTimestamp") deleting = true;
    if (name != "name" && name != "namespace" && name != "uid" && name != "resourceVersion") return;
    if (const auto plain = kube::plain_text(value)) metadata[std::string(name)] = std::string(*plain);
  };
  const auto read_status = [&](std::string_view name, std::string_view value) {
    if (name == "observedGeneration") observed = value;
    if (name == "phase") phase = kube::plain_text(value).value_or("");
  };
  bool whole = true;
  const bool is_object = kube::for_each_member(text, [&](std::string_view name, std::string_view value) {
    if (name == "metadata") whole = kube::for_each_member(value, read_metadata) && whole;
    if (name == "status") whole = kube::for_each_member(status = value, read_status) && whole;
  });
  // The word may stand elsewhere too; then the object is parsed for nothing.
  const bool may_be_called_wrong = status.find(api::reason::kInvalidSpec) != status.npos;
  if (!is_object || !whole || deleting || may_be_called_wrong || metadata.size() != 4) return {};
  if (generation.empty() || generation != observed || !is_end(phase)) return {};
  return Json{{kSettled, true}, {"metadata", std::move(metadata)}};
}

bool is_settled(const Json& build) {
  return at(build, {kSettled}).is_boolean();
}

Result<build::Pod> pod_from(const Json& pod) {
  build::Pod result;
  RETURN_IF_ERROR(read_labels(pod, result));
  result.name = text_at(pod, {"metadata", "name"});
  result.created = time_at(pod, {"metadata", "creationTimestamp"}).value_or(WallTime{});
  result.deletion = time_at(pod, {"metadata", "deletionTimestamp"});
  result.node = text_at(pod, {"spec", "nodeName"});
  result.phase = phase_of(text_at(pod, {"status", "phase"}));
  result.reason = text_at(pod, {"status", "reason"});
  result.message = text_at(pod, {"status", "message"});
  read_scheduling(pod, result);
  if (moves_artifacts(pod)) {
    read_stage_with_transfers(pod, result);
  } else {
    read_container(container_status(pod, role_name(result.work.role)), result);
  }
  return result;
}

bool moves_artifacts(const Json& pod) {
  const Json& containers = at(pod, {"spec", "containers"});
  return containers.is_array() &&
         std::ranges::any_of(containers, [](const Json& one) { return text_at(one, {"name"}) == kStoreContainer; });
}

void add_report(const Json& pod, const api::Told& heard, build::Pod& to) {
  if (to.told && !heard.is_end()) return;
  if (!moves_artifacts(pod)) {
    to.told = heard;
    return;
  }
  // Only the stage's container reports: what the others say in the end counts more.
  if (to.told && to.told->failure) return;
  to.told = heard;
  to.told->done = to.phase == build::PodPhase::kSucceeded;
}

Result<build::Claim> claim_from(const Json& claim) {
  const auto generation = number_label(claim, label::kGeneration);
  if (!generation) return foreign(claim, "claim", label::kGeneration);
  build::Claim result;
  result.name = text_at(claim, {"metadata", "name"});
  result.generation = *generation;
  result.deleting = !at(claim, {"metadata", "deletionTimestamp"}).is_null();
  result.lost = text_at(claim, {"status", "phase"}) == "Lost";
  result.bound = text_at(claim, {"status", "phase"}) == "Bound";
  return result;
}

Json project_pod(Json pod) {
  Json status = Json::object();
  keep(at(pod, {"status"}), status, {"phase", "reason", "message"});
  status["conditions"] = elements(at(pod, {"status", "conditions"}), "type", "PodScheduled");
  const std::string role = text_at(pod, {"metadata", "labels", label::kRole});
  status["containerStatuses"] = states_of(at(pod, {"status", "containerStatuses"}), {role, kStoreContainer});
  Json fetch = states_of(at(pod, {"status", "initContainerStatuses"}), {kFetchContainer});
  if (!fetch.empty()) status["initContainerStatuses"] = std::move(fetch);
  Json spec = Json::object();
  keep(at(pod, {"spec"}), spec, {"nodeName"});
  if (moves_artifacts(pod)) spec["containers"] = Json::array({{{"name", kStoreContainer}}});
  return {{"metadata", kept_metadata(pod)}, {"spec", std::move(spec)}, {"status", std::move(status)}};
}

Json project_claim(Json claim) {
  Json status = Json::object();
  keep(at(claim, {"status"}), status, {"phase"});
  return {{"metadata", kept_metadata(claim)}, {"status", std::move(status)}};
}

build::Refusal refusal_from(std::string object, const kube::ApiError& error) {
  using Kind = build::Refusal::Kind;
  build::Refusal refusal{std::move(object), Kind::kUnavailable, error.message};
  // A namespace that is being deleted takes the ImageBuild with it.
  if (error.is_namespace_terminating()) return refusal;
  switch (error.status) {
    case 400:
    case 413:
    case 422:
      refusal.kind = Kind::kInvalid;
      break;
    case 401:
      refusal.kind = Kind::kForbidden;
      break;
    case 403:
      refusal.kind = error.code == ErrorCode::kExhausted ? Kind::kQuota : Kind::kForbidden;
      break;
    default:
      break;
  }
  return refusal;
}

}  // namespace imagebuild::op
