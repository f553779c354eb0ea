#include "builder/transfer/needs.h"

#include <charconv>
#include <cstddef>
#include <string_view>
#include <variant>

#include "api/step_sources.h"
#include "api/volume.h"
#include "base/overloaded.h"
#include "build/placement.h"

namespace imagebuild::builder {

namespace volume = api::volume;

namespace {

// The number behind the first slash: "stages/12/report.json" → 12.
int number_in(std::string_view path) {
  int number = -1;
  const std::size_t at = path.find('/') + 1;
  std::from_chars(path.data() + at, path.data() + path.size(), number);
  return number;
}

void add(const api::CopyFrom& from, ArtifactNeeds& to) {
  std::visit(Overloaded{[&](const api::FromContext&) { to.context = true; },
                        [&](const api::FromStage& stage) { to.exports.insert(stage.stage); },
                        [&](const api::FromTree& tree) { to.trees.insert(tree.tree); }},
             from);
}

void add(const api::Plan& plan, int index, ArtifactNeeds& to) {
  const api::PlanStage& stage = plan.stages[static_cast<std::size_t>(index)];
  if (const api::BaseImage* image = api::root_image(plan, index)) {
    to.bases.insert(static_cast<int>(image - plan.images.data()));
  }
  for (const int below : api::base_chain(plan, index)) {
    if (below == index) continue;
    to.layers.insert(below);
    to.reports.insert(below);
  }
  for (const api::Step& step : stage.steps) {
    for (const api::CopyFrom& from : api::sources_of(step)) add(from, to);
  }
}

}  // namespace

bool ArtifactNeeds::includes(const std::string& path) const {
  if (path == volume::kPlan) return true;
  if (path.starts_with("context/")) return context;
  if (path.starts_with("trees/")) return trees.contains(number_in(path));
  if (path.starts_with("bases/")) return bases.contains(number_in(path));
  const int stage = number_in(path);
  if (path.find("/layers/") != std::string::npos) return layers.contains(stage);
  if (path.find("/exports/") != std::string::npos) return exports.contains(stage);
  return reports.contains(stage);
}

std::set<int> ArtifactNeeds::stages() const {
  std::set<int> all = layers;
  all.insert(exports.begin(), exports.end());
  all.insert(reports.begin(), reports.end());
  return all;
}

ArtifactNeeds needs_of_stage(const api::Plan& plan, int stage) {
  ArtifactNeeds needs;
  add(plan, stage, needs);
  return needs;
}

ArtifactNeeds needs_of_publish(const api::Plan& plan) {
  ArtifactNeeds needs;
  const std::vector<build::Place> places = build::place_stages(plan);
  const auto computes = [&](int stage) { return places[static_cast<std::size_t>(stage)] == build::Place::kPublish; };
  for (int stage = 0; stage < static_cast<int>(places.size()); ++stage) {
    if (computes(stage)) {
      add(plan, stage, needs);
    } else {
      needs.reports.insert(stage);
    }
  }
  for (const api::PlanTarget& target : plan.targets) {
    for (const int stage : api::base_chain(plan, target.stage)) needs.layers.insert(stage);
  }
  const auto own = [&](std::set<int>& stages) { std::erase_if(stages, computes); };
  own(needs.layers);
  own(needs.exports);
  own(needs.reports);
  return needs;
}

}  // namespace imagebuild::builder
