// What the operator sees of one build in the cluster, as values: the input of reconcile().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/image_build.h"
#include "api/image_build_references.h"
#include "api/plan.h"
#include "api/told.h"
#include "base/clock.h"

namespace imagebuild::build {

// kKeep: of a build that did not come to its end, puts what its stages made into its cache.
enum class PodRole { kPrepare, kStage, kPublish, kKeep };

// Which piece of work: a stage has its index into Plan::stages, the others 0.
struct Work {
  PodRole role = PodRole::kPrepare;
  int stage = 0;
  auto operator<=>(const Work&) const = default;
};

enum class PodPhase { kPending, kRunning, kSucceeded, kFailed, kUnknown };

struct Pod {
  std::string name;
  // From its labels.
  std::int64_t generation = 0;  // BuildIdentity::generation.
  Work work;
  int attempt = 1;

  PodPhase phase = PodPhase::kPending;
  std::optional<WallTime> deletion;  // metadata.deletionTimestamp: when its grace period ends.
  std::string node;
  std::string reason, message;                  // status.reason: "Evicted", "OutOfcpu", "NodeLost", …
  std::string unschedulable;                    // Why it has no node yet: the message of PodScheduled=False.
  std::string waiting_reason, waiting_message;  // The container's state.waiting.
  std::optional<int> exit_code;                 // The container's state.terminated …
  std::string terminated_reason;                // … "OOMKilled", "Error", "ContainerStatusUnknown"
  WallTime created{};
  std::optional<WallTime> scheduled;          // When it got its node.
  std::optional<WallTime> started, finished;  // The container.
  std::optional<api::Told> told;              // The newest, whichever way it came.
  bool outcome_read = false;                  // Its log was read already (ReadOutcome): there is no more to learn.

  bool active() const { return phase != PodPhase::kSucceeded && phase != PodPhase::kFailed; }
};

// A PersistentVolumeClaim that was made for a build.
struct Claim {
  std::string name;
  std::int64_t generation = 0;
  bool deleting = false;
  bool lost = false;   // Its volume is gone (phase Lost).
  bool bound = false;  // It has a volume.
};

// What the API server said when the last action on an object was tried. Kept by the caller until the object exists.
struct Refusal {
  enum class Kind { kQuota, kForbidden, kInvalid, kUnavailable };
  std::string object;  // Its name.
  Kind kind = Kind::kUnavailable;
  std::string message;
};

struct Observed {
  api::ImageBuild build;
  WallTime now{};
  bool slot_free = true;  // The concurrency limit lets one more build start.
  std::vector<Pod> pods;  // All that belong to the ImageBuild, of any generation.
  std::vector<Claim> claims;
  // The class of the artifact claim gives it a volume at once, and not only when a pod wants it.
  bool claim_binds_at_once = false;
  // The plan of the current build, reported now or read from its record; absent while it is not known.
  std::optional<api::Plan> plan;
  bool plan_recorded = false;        // The record of the current build's plan is in the cluster.
  std::vector<std::string> records;  // The names of all plan records of the ImageBuild.
  // Those of api::references() that are not there; a key is set when the object is there without it.
  std::vector<api::Reference> missing;
  std::vector<Refusal> refusals;
};

}  // namespace imagebuild::build
