// The operator's decision: from what is in the cluster to what should be done next and what the status says. Pure; the
// caller observes, writes the status, then does the actions, and asks again whenever something changed.
//
// The caller's side of the contract:
// - The status is written before any action; if that fails, nothing is done and the key comes again. Only the status
//   remembers what vanished pods had done. Claims and records do nothing by themselves: they may be made meanwhile.
// - A status that tells of no action and of no other phase or reason may be written a little later; pods that are made
//   ahead of their time (CreatePod::early) need not wait for it.
// - Creating what exists already is success: names are deterministic.
// - What the API server refuses comes back as Observed::refusals, and the decision is made again for its status.
// - An ImageBuild that is being deleted needs nothing: every object has an ownerReference to it.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "api/image_build.h"
#include "build/reconcile_state.h"

namespace imagebuild::build {

// The artifact claim of the build, as spec.artifacts.volume says.
struct CreateClaim {
  std::string name;
  std::int64_t generation = 0;
  bool operator==(const CreateClaim&) const = default;
};
struct CreatePod {
  std::string name;
  std::int64_t generation = 0;
  Work work;
  int attempt = 1;
  // The pod must run on this node, because the claim can be mounted on one only; empty: anywhere.
  std::string node;
  // What it needs is still being made: it waits for the reports of those stages on the volume.
  bool early = false;
  // PodRole::kKeep: the stages of which something is kept.
  std::vector<int> stages = {};
  bool operator==(const CreatePod&) const = default;
};
struct DeletePod {
  std::string name;
  bool operator==(const DeletePod&) const = default;
};
struct DeleteClaim {
  std::string name;
  bool operator==(const DeleteClaim&) const = default;
};
// Keep Observed::plan in the cluster, for the operator that comes after a restart.
struct RecordPlan {
  std::string name;
  std::int64_t generation = 0;
  bool operator==(const RecordPlan&) const = default;
};
struct DeleteRecord {
  std::string name;
  bool operator==(const DeleteRecord&) const = default;
};
// The pod ended, but what it had to tell did not arrive: read it from its log, into Pod::told and Observed::plan.
struct ReadOutcome {
  std::string pod;
  bool operator==(const ReadOutcome&) const = default;
};
struct EmitEvent {
  bool warning = false;
  std::string reason;  // api/reasons.h
  std::string note;
  bool operator==(const EmitEvent&) const = default;
};
// Ask again then, even if nothing changes.
struct RequeueAfter {
  std::chrono::milliseconds delay{0};
  bool operator==(const RequeueAfter&) const = default;
};

using Action = std::variant<CreateClaim, CreatePod, DeletePod, DeleteClaim, RecordPlan, DeleteRecord, ReadOutcome,
                            EmitEvent, RequeueAfter>;

struct Decision {
  std::vector<Action> actions;  // In this order. At most one RequeueAfter, the last.
  api::ImageBuildStatus status;
};

Decision reconcile(const Observed& observed);

}  // namespace imagebuild::build
