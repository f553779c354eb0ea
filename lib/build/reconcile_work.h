// Follows one piece of work (prepare, a stage, publish) through its attempts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/image_build.h"
#include "build/reconcile_state.h"
#include "build/reconcile_verdict.h"

namespace imagebuild::build {

// The time between a lost attempt and the next: it doubles with each, from the first to the second of these.
inline constexpr std::chrono::seconds kFirstRetryDelay{5}, kLongestRetryDelay{60};

// What was found out about a piece of work, besides its new WorkStatus.
struct Followed {
  const Pod* pod = nullptr;  // The last attempt that counts; null when there is none.
  Verdict verdict;           // Of that pod.
  bool may_start = false;    // A new attempt may be created, now or at `not_before`.
  std::optional<WallTime> not_before;
};

struct FollowOptions {
  std::int64_t generation = 0;
  std::int64_t retries = 0;  // The budget.
  bool needs_outcome = false;
  bool outcome_known = false;
};

// Brings `status` up to what `pods` show. Losses are counted once, also when decided again from the same objects.
Followed follow(const Work& work, api::WorkStatus& status, const std::vector<Pod>& pods, const FollowOptions& options,
                WallTime now);

// Gives an attempt up that was not lost by its own pod: whatever it had done is to be done again.
void forget_attempt(api::WorkStatus& status, const char* why, WallTime now);

}  // namespace imagebuild::build
