#include "build/schedule.h"

#include <algorithm>
#include <cstddef>

namespace imagebuild::build {

std::vector<int> ready_stages(const api::Plan& plan, std::span<const StageState> states) {
  std::vector<int> ready;
  if (std::ranges::find(states, StageState::kFailed) != states.end()) return ready;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    if (states[i] != StageState::kWaiting) continue;
    const bool needs_done = std::ranges::all_of(
        plan.stages[i].needs, [&](int need) { return states[static_cast<std::size_t>(need)] == StageState::kDone; });
    if (needs_done) ready.push_back(static_cast<int>(i));
  }
  return ready;
}

}  // namespace imagebuild::build
