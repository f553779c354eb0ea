// Which stages may start now. Pure: the local runner and the operator ask the same function.
#pragma once

#include <span>
#include <vector>

#include "api/plan.h"

namespace imagebuild::build {

enum class StageState { kWaiting, kRunning, kDone, kFailed };

// The waiting stages whose needs are all done, in plan order. None once a stage has failed.
std::vector<int> ready_stages(const api::Plan& plan, std::span<const StageState> states);

}  // namespace imagebuild::build
