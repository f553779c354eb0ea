// Where each stage of a plan is done in a cluster: computed stages ride along with prepare or publish where they can,
// so that few pods follow each other.
#pragma once

#include <vector>

#include "api/plan.h"

namespace imagebuild::build {

enum class Place {
  kPrepare,  // Computed, and needs nothing that a pod makes, but a pod needs it.
  kPod,      // Needs a container; or computed between two stages that do: then in a pod of the builder image.
  kPublish,  // Computed, and no pod needs it.
};

// One for each stage of the plan.
std::vector<Place> place_stages(const api::Plan& plan);

}  // namespace imagebuild::build
