#include "build/placement.h"

#include <algorithm>
#include <cstddef>

namespace imagebuild::build {

std::vector<Place> place_stages(const api::Plan& plan) {
  const std::size_t count = plan.stages.size();
  // Needs have smaller indexes: what a pod needs is found from the end, what needs no pod from the beginning.
  std::vector<bool> needed_by_pod(count);
  for (std::size_t i = count; i-- > 0;) {
    if (!plan.stages[i].needs_container && !needed_by_pod[i]) continue;
    for (const int need : plan.stages[i].needs) needed_by_pod[static_cast<std::size_t>(need)] = true;
  }
  std::vector<Place> places(count, Place::kPod);
  for (std::size_t i = 0; i < count; ++i) {
    const api::PlanStage& stage = plan.stages[i];
    if (stage.needs_container) continue;
    const bool early = std::ranges::all_of(
        stage.needs, [&](int need) { return places[static_cast<std::size_t>(need)] == Place::kPrepare; });
    if (!needed_by_pod[i]) {
      places[i] = Place::kPublish;
    } else if (early) {
      places[i] = Place::kPrepare;
    }
  }
  return places;
}

}  // namespace imagebuild::build
