#include "build/base_needs.h"

#include <gtest/gtest.h>

#include <functional>

namespace imagebuild::build {
namespace {

struct Row {
  const char* name;
  std::function<void(api::PlanStage&)> change;
  bool needs;
};

class BaseNeeds : public testing::TestWithParam<Row> {};

// A stage in a container, on an image, of which nothing leaves but /src/app.
TEST_P(BaseNeeds, AreThoseOf) {
  api::Plan plan;
  plan.images = {{.name = "debian:12"}};
  api::PlanStage& stage = plan.stages.emplace_back();
  stage.base = api::OnImage{0};
  stage.needs_container = true;
  stage.exports = {"/src/app"};
  stage.steps = {{.action = api::RunStep{.argv = {"make"}}}};
  GetParam().change(stage);
  EXPECT_EQ(needs_base_index(plan, 0), GetParam().needs);
}

const auto exports = [](std::vector<std::string> patterns) {
  return [=](api::PlanStage& stage) { stage.exports = patterns; };
};
const auto mounting = [](api::Mount mount) {
  return [=](api::PlanStage& stage) { std::get<api::RunStep>(stage.steps[0].action).mounts = {mount}; };
};

const std::vector<Row> kRows = {
    {"AStageOfWhichOnlyItsOwnFilesAreTaken", [](api::PlanStage&) {}, false},
    {"SeveralFilesOfItsOwn", exports({"/src/a", "/out/*.deb", "/app"}), false},
    {"AStageWhoseLayersOnlyACacheKeeps", [](api::PlanStage& stage) { stage.cache_layers = true; }, false},
    {"AStageWhoseLayersBecomeAnImage", [](api::PlanStage& stage) { stage.keep_layers = true; }, true},
    {"AStageWithoutAContainer", [](api::PlanStage& stage) { stage.needs_container = false; }, true},
    {"AStageOnScratch",
     [](api::PlanStage& stage) {
       stage.base = api::Scratch{};
       stage.keep_layers = true;
     },
     false},
    {"TheRoot", exports({"/"}), true},
    {"TheRootByAnotherName", exports({"/./"}), true},
    {"AFolderOfTheSystem", exports({"/src/a", "/etc"}), true},
    {"SomethingInAFolderOfTheSystem", exports({"/usr/local/bin/app"}), true},
    {"AnyFolder", exports({"/*/app"}), true},
    {"AFolderByAClass", exports({"/[e]tc"}), true},
    {"AWayUp", exports({"/src/../etc"}), true},
    {"ACacheMount", mounting(api::CacheMount{.id = "a", .target = "/cache"}), true},
    {"ASecret", [](api::PlanStage& stage) { std::get<api::RunStep>(stage.steps[0].action).secrets = {{.id = "a"}}; },
     true},
};
INSTANTIATE_TEST_SUITE_P(Stages, BaseNeeds, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::build
