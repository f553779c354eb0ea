#include "build/merge_plans.h"

#include <algorithm>
#include <set>
#include <utility>

namespace imagebuild::build {

namespace {

// The stage as far as its result depends on it: what others want of it, and who named it first, is left out.
api::PlanStage result_of(const api::PlanStage& stage) {
  api::PlanStage result = stage;
  result.at = {};
  result.exports.clear();
  result.keep_layers = false;
  result.needs_container = false;
  return result;
}

// Replaces the numbers of one plan by those of another.
struct Renumbering {
  std::vector<int> images, trees, stages;

  static int at(const std::vector<int>& numbers, int old) { return numbers[static_cast<std::size_t>(old)]; }

  void apply(api::CopyFrom& from) const {
    if (auto* const stage = std::get_if<api::FromStage>(&from)) stage->stage = at(stages, stage->stage);
    if (auto* const tree = std::get_if<api::FromTree>(&from)) tree->tree = at(trees, tree->tree);
  }

  void apply(api::RunStep& run) const {
    for (api::Mount& mount : run.mounts) {
      if (auto* const bind = std::get_if<api::BindMount>(&mount)) apply(bind->from);
      auto* const cache = std::get_if<api::CacheMount>(&mount);
      if (cache != nullptr && cache->from) apply(*cache->from);
    }
  }

  void apply(api::CopyStep& copy) const {
    apply(copy.from);
    for (api::RemoteSource& remote : copy.remotes) remote.tree = at(trees, remote.tree);
  }

  void apply(api::PlanStage& stage) const {
    if (auto* const image = std::get_if<api::OnImage>(&stage.base)) image->image = at(images, image->image);
    if (auto* const below = std::get_if<api::OnStage>(&stage.base)) below->stage = at(stages, below->stage);
    for (api::Step& step : stage.steps) {
      if (auto* const run = std::get_if<api::RunStep>(&step.action)) apply(*run);
      if (auto* const copy = std::get_if<api::CopyStep>(&step.action)) apply(*copy);
    }
    for (int& need : stage.needs) need = at(stages, need);
    std::ranges::sort(stage.needs);
  }
};

}  // namespace

int PlanMerger::add_image(const api::BaseImage& image) {
  const auto there = std::ranges::find(merged_.images, image);
  const auto index = there - merged_.images.begin();
  if (there == merged_.images.end()) merged_.images.push_back(image);
  return static_cast<int>(index);
}

int PlanMerger::add_tree(const api::FileTree& tree) {
  const auto there = std::ranges::find(merged_.trees, tree.origin, &api::FileTree::origin);
  const auto index = there - merged_.trees.begin();
  if (there == merged_.trees.end()) merged_.trees.push_back(tree);
  return static_cast<int>(index);
}

int PlanMerger::add_stage(api::PlanStage stage, const Origin& origin) {
  const api::PlanStage result = result_of(stage);
  const auto there = std::ranges::find_if(merged_.stages, [&](const api::PlanStage& other) {
    return other.name == stage.name && result_of(other) == result;
  });
  const auto index = there - merged_.stages.begin();
  if (there == merged_.stages.end()) {
    merged_.stages.push_back(std::move(stage));
    origins_.push_back(origin);
    return static_cast<int>(index);
  }
  std::set<std::string> exports(there->exports.begin(), there->exports.end());
  exports.insert(stage.exports.begin(), stage.exports.end());
  there->exports.assign(exports.begin(), exports.end());
  there->keep_layers = there->keep_layers || stage.keep_layers;
  there->needs_container = there->needs_container || stage.needs_container;
  return static_cast<int>(index);
}

void PlanMerger::add(const api::Plan& plan, const std::string& target, const std::string& platform) {
  merged_.dockerfile = plan.dockerfile;
  merged_.epoch_s = plan.epoch_s;
  merged_.run = plan.run;
  Renumbering numbers;
  for (const api::BaseImage& image : plan.images) numbers.images.push_back(add_image(image));
  for (const api::FileTree& tree : plan.trees) numbers.trees.push_back(add_tree(tree));
  for (api::PlanStage stage : plan.stages) {
    numbers.apply(stage);
    numbers.stages.push_back(add_stage(std::move(stage), Origin{target, platform}));
  }
  merged_.targets.push_back(
      api::PlanTarget{Renumbering::at(numbers.stages, plan.targets.front().stage), platform, target});
  for (const api::Warning& warning : plan.warnings) {
    if (std::ranges::find(merged_.warnings, warning) == merged_.warnings.end()) merged_.warnings.push_back(warning);
  }
}

// Whoever takes the arm64 image of an index and gets amd64 should know.
void PlanMerger::warn_of_other_platforms() {
  for (const api::PlanTarget& target : merged_.targets) {
    const api::PlanStage& stage = merged_.stages[static_cast<std::size_t>(target.stage)];
    if (stage.platform == target.platform || api::targets_named(merged_, target.name).size() == 1) continue;
    merged_.warnings.push_back(
        {"", "the image for " + target.platform + " is one for " + stage.platform + ", since its FROM says --platform",
         stage.at});
  }
}

// Stages of one name get what tells them apart behind it: "build (linux/arm64)".
void PlanMerger::name_apart() {
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t i = 0; i < merged_.stages.size(); ++i) by_name[merged_.stages[i].name].push_back(i);
  for (const auto& [name, same] : by_name) {
    if (same.size() == 1) continue;
    std::set<std::string> platforms, targets;
    for (const std::size_t stage : same) {
      platforms.insert(origins_[stage].platform);
      targets.insert(origins_[stage].target);
    }
    for (const std::size_t stage : same) {
      const Origin& origin = origins_[stage];
      const std::string target = origin.target.empty() ? "last stage" : "target " + origin.target;
      std::string what = platforms.size() == same.size() ? origin.platform : target;
      if (platforms.size() < same.size() && platforms.size() > 1) what += ", " + origin.platform;
      merged_.stages[stage].name = name + " (" + what + ")";
    }
  }
}

api::Plan PlanMerger::finish() {
  warn_of_other_platforms();
  name_apart();
  origins_.clear();
  return std::exchange(merged_, {});
}

}  // namespace imagebuild::build
