#include "build/schedule.h"

#include <gtest/gtest.h>

namespace imagebuild::build {
namespace {

using enum StageState;

// 0 and 1 stand alone, 2 needs both, 3 needs 2.
api::Plan diamond() {
  api::Plan plan;
  plan.stages.resize(4);
  plan.stages[2].needs = {0, 1};
  plan.stages[3].needs = {2};
  return plan;
}

struct Row {
  const char* name;
  std::vector<StageState> states;
  std::vector<int> ready;
};

class ReadyStages : public testing::TestWithParam<Row> {};

TEST_P(ReadyStages, AreThoseWhoseNeedsAreDone) {
  EXPECT_EQ(ready_stages(diamond(), GetParam().states), GetParam().ready);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ReadyStages,
    testing::Values(Row{"StartsIndependentStagesTogether", {kWaiting, kWaiting, kWaiting, kWaiting}, {0, 1}},
                    Row{"WaitsForEveryNeed", {kDone, kRunning, kWaiting, kWaiting}, {}},
                    Row{"StartsOnceAllNeedsAreDone", {kDone, kDone, kWaiting, kWaiting}, {2}},
                    Row{"StartsNothingTwice", {kDone, kDone, kRunning, kWaiting}, {}},
                    Row{"StartsNothingAfterAFailure", {kFailed, kWaiting, kWaiting, kWaiting}, {}},
                    Row{"HasNothingLeftAtTheEnd", {kDone, kDone, kDone, kDone}, {}}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::build
