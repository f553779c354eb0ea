// How a decision is told: the conditions of a status, and the events that lie between two of them.
#pragma once

#include <string>
#include <vector>

#include "api/image_build.h"
#include "base/clock.h"
#include "build/reconcile.h"

namespace imagebuild::build {

// Sets all conditions by the rules of kstatus: Reconciling and Stalled are there only while they are true.
struct Situation {
  enum class Kind { kGoingOn, kSuspended, kSucceeded, kFailed };
  Kind kind = Kind::kGoingOn;
  std::string reason;  // api/reasons.h
  std::string message;
};
void set_conditions(api::ImageBuildStatus& status, const Situation& situation, WallTime now);

// "3/5"; empty while the stages are not known.
std::string stage_summary(const std::vector<api::StageStatus>& stages);

bool is_finished(const api::ImageBuildStatus& status);

// What happened between two statuses of the same build.
std::vector<EmitEvent> events_between(const api::ImageBuildStatus& before, const api::ImageBuildStatus& after);

}  // namespace imagebuild::build
