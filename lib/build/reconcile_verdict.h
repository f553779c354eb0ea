// What a pod's state says about its work.
#pragma once

#include <optional>
#include <string>

#include "build/reconcile_state.h"

namespace imagebuild::build {

// A pod that is being deleted and still not gone this long after its grace period has a node that does not answer.
inline constexpr std::chrono::seconds kLostAfterGrace{60};

struct Verdict {
  enum class Kind {
    kPending,  // Does not run yet.
    kRunning,
    kEnding,  // Is being deleted; a second pod must not write beside it.
    kDone,
    kUntold,  // Ended, but what it has to tell is not here yet.
    kFailed,  // By the user's fault, or one that only a person mends.
    kLost,    // By the infrastructure's.
  };
  Kind kind = Kind::kPending;
  std::string reason;  // api/reasons.h, for kFailed and kLost.
  std::string message;
};

// `needs_outcome`: the work is not done before its outcome is known (a plan, an image), whatever the exit status says.
Verdict judge(const Pod& pod, bool needs_outcome, bool outcome_known, WallTime now);

struct Waiting {
  std::string reason;  // api/reasons.h
  std::string message;
};
// A new pod may be unschedulable for a moment, while its claim gets a volume: that is no news yet.
inline constexpr std::chrono::seconds kSchedulingPatience{4};
// So long a build's first pod waits for the volume of a claim whose class gives it one at once.
inline constexpr std::chrono::seconds kVolumePatience{2};
// What a pod waits for, if that has a name.
std::optional<Waiting> waiting_for(const Pod& pod, WallTime now);

// The reason of a failure that a builder told.
std::string failure_reason(const api::Failure& failure);

}  // namespace imagebuild::build
