#include "api/step_sources.h"

namespace imagebuild::api {

std::vector<CopyFrom> sources_of(const Step& step) {
  std::vector<CopyFrom> sources;
  if (const auto* copy = std::get_if<CopyStep>(&step.action)) {
    if (!copy->sources.empty()) sources.push_back(copy->from);
    for (const RemoteSource& remote : copy->remotes) sources.emplace_back(FromTree{remote.tree});
  }
  const auto* run = std::get_if<RunStep>(&step.action);
  if (run == nullptr) return sources;
  for (const Mount& mount : run->mounts) {
    if (const auto* bind = std::get_if<BindMount>(&mount)) sources.push_back(bind->from);
    if (const auto* cache = std::get_if<CacheMount>(&mount); cache != nullptr && cache->from) {
      sources.push_back(*cache->from);
    }
  }
  return sources;
}

std::set<int> trees_of(const PlanStage& stage) {
  std::set<int> trees;
  for (const Step& step : stage.steps) {
    for (const CopyFrom& from : sources_of(step)) {
      if (const auto* tree = std::get_if<FromTree>(&from)) trees.insert(tree->tree);
    }
  }
  return trees;
}

}  // namespace imagebuild::api
