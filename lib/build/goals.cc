#include "build/goals.h"

#include <algorithm>

#include "build/merge_plans.h"

namespace imagebuild::build {

namespace {

SolveOptions options_for(const SolveOptions& options, const Goal& goal) {
  SolveOptions own = options;
  own.target = goal.target;
  own.target_platform = goal.platform;
  return own;
}

}  // namespace

std::vector<Goal> goals_of(const std::vector<std::string>& targets, const std::vector<oci::Platform>& platforms) {
  std::vector<Goal> goals;
  const auto add = [&](const std::string& target, const oci::Platform& platform) {
    const bool known = std::ranges::any_of(
        goals, [&](const Goal& goal) { return goal.target == target && goal.platform == platform; });
    if (!known) goals.push_back(Goal{target, platform});
  };
  const std::vector<std::string> all_targets = targets.empty() ? std::vector<std::string>{""} : targets;
  for (const std::string& target : all_targets) {
    if (platforms.empty()) add(target, oci::Platform::host());
    for (const oci::Platform& platform : platforms) add(target, platform);
  }
  return goals;
}

Result<std::vector<ImageNeed>> missing_images(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options,
                                              std::span<const Goal> goals, const Images& known) {
  std::vector<ImageNeed> missing;
  for (const Goal& goal : goals) {
    ASSIGN_OR_RETURN(const std::vector<ImageNeed> needs, missing_images(dockerfile, options_for(options, goal), known));
    for (const ImageNeed& need : needs) {
      if (std::ranges::find(missing, need) == missing.end()) missing.push_back(need);
    }
  }
  return missing;
}

Result<api::Plan> solve(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options,
                        std::span<const Goal> goals, const Images& images) {
  PlanMerger merger;
  for (const Goal& goal : goals) {
    ASSIGN_OR_RETURN(const api::Plan plan, solve(dockerfile, options_for(options, goal), images));
    merger.add(plan, goal.target, goal.platform.str());
  }
  return merger.finish();
}

}  // namespace imagebuild::build
