// What the steps of a plan take files from.
#pragma once

#include <set>
#include <vector>

#include "api/plan.h"

namespace imagebuild::api {

// Each place that the step copies or mounts from, as often as it does.
std::vector<CopyFrom> sources_of(const Step& step);
// The trees among those of all steps of the stage: indexes into Plan::trees.
std::set<int> trees_of(const PlanStage& stage);

}  // namespace imagebuild::api
