// Several images from one Dockerfile: for several platforms, of several targets. Each is solved by itself; stages that
// come out equal are one stage of the plan, so that what all images need is done once.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "build/solve.h"
#include "dockerfile/parser.h"
#include "oci/platform.h"

namespace imagebuild::build {

// One image: a stage for a platform.
struct Goal {
  std::string target;  // As SolveOptions::target.
  oci::Platform platform = oci::Platform::host();
};

// Every target for every platform, those of one target side by side; each only once. No targets: the last stage. No
// platforms: this machine's.
std::vector<Goal> goals_of(const std::vector<std::string>& targets, const std::vector<oci::Platform>& platforms);

// As the functions of these names in solve.h, but for all goals (at least one) instead of the options' target and
// target platform.
Result<std::vector<ImageNeed>> missing_images(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options,
                                              std::span<const Goal> goals, const Images& known);
// Plan::targets has the goals in their order. A stage of the Dockerfile that differs between goals is there more than
// once, each with the platform (and where that is the same, the target) behind its name.
Result<api::Plan> solve(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options,
                        std::span<const Goal> goals, const Images& images);

}  // namespace imagebuild::build
