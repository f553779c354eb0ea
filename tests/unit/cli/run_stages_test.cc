#include "cli/run_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <mutex>

#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Stages by what they need.
api::Plan plan_with_needs(const std::vector<std::vector<int>>& needs) {
  api::Plan plan;
  for (std::size_t i = 0; i < needs.size(); ++i) {
    plan.stages.push_back(stage_on("s" + std::to_string(i), 1, api::Scratch{}));
    plan.stages.back().needs = needs[i];
  }
  return plan;
}

api::StageReport report_of(int stage) {
  api::StageReport report;
  report.stage = "s" + std::to_string(stage);
  return report;
}

// Returns when somebody asks to stop.
void wait_for_stop(const std::stop_token& stop) {
  std::latch stopped(1);
  const std::stop_callback wake(stop, [&] { stopped.count_down(); });
  stopped.wait();
}

TEST(RunStagesTest, RunsEveryStageAfterWhatItNeeds) {
  std::mutex mutex;
  std::vector<int> order;
  const auto outcome = run_stages(plan_with_needs({{}, {0}, {1}}), 4,
                                  [&](int stage, const std::stop_token&) -> Result<api::StageReport> {
                                    const std::lock_guard lock(mutex);
                                    order.push_back(stage);
                                    return report_of(stage);
                                  },
                                  {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  ASSERT_EQ(outcome->reports.size(), 3U);
  EXPECT_EQ(outcome->reports[2]->stage, "s2");
  EXPECT_FALSE(outcome->failure);
}

TEST(RunStagesTest, RunsIndependentStagesSideBySide) {
  std::latch both(2);  // Neither returns before the other has started.
  const auto outcome = run_stages(plan_with_needs({{}, {}, {0, 1}}), 2,
                                  [&](int stage, const std::stop_token&) -> Result<api::StageReport> {
                                    if (stage < 2) both.arrive_and_wait();
                                    return report_of(stage);
                                  },
                                  {});
  EXPECT_TRUE(outcome.ok());
}

TEST(RunStagesTest, RunsAtMostAsManyAsAllowed) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  const auto outcome = run_stages(plan_with_needs({{}, {}, {}, {}, {}, {}}), 2,
                                  [&](int stage, const std::stop_token&) -> Result<api::StageReport> {
                                    const int now = ++running;
                                    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                                    }
                                    std::this_thread::yield();
                                    --running;
                                    return report_of(stage);
                                  },
                                  {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_LE(most, 2);
}

TEST(RunStagesTest, AFailureStopsTheOthersAndStartsNoMore) {
  std::latch both(2);
  std::atomic<bool> last_ran = false;
  const auto outcome = run_stages(plan_with_needs({{}, {}, {0, 1}}), 4,
                                  [&](int stage, const std::stop_token& stop) -> Result<api::StageReport> {
                                    if (stage == 2) last_ran = true;
                                    both.arrive_and_wait();
                                    if (stage == 1) {
                                      wait_for_stop(stop);
                                      return Error{ErrorCode::kCancelled, "stopped"};
                                    }
                                    api::StageReport report = report_of(stage);
                                    report.failure = api::Failure{.stage = "s0", .message = "exit 1"};
                                    return report;
                                  },
                                  {});
  ASSERT_TRUE(outcome.ok());
  ASSERT_TRUE(outcome->failure);
  EXPECT_EQ(outcome->failure->message, "exit 1");
  EXPECT_FALSE(outcome->reports[1]);
  EXPECT_FALSE(last_ran);
}

TEST(RunStagesTest, AnErrorNamesItsStage) {
  const auto outcome = run_stages(plan_with_needs({{}}), 1,
                                  [](int, const std::stop_token&) -> Result<api::StageReport> {
                                    return Error{ErrorCode::kInternal, "no space"};
                                  },
                                  {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().message, "stage 's0': no space");
}

TEST(RunStagesTest, StopsWhenAskedTo) {
  const auto stop = std::make_unique<std::stop_source>();
  const auto outcome = run_stages(
      plan_with_needs({{}, {}, {0, 1}}), 2,
      [&](int stage, const std::stop_token& token) -> Result<api::StageReport> {
        if (stage == 0) stop->request_stop();
        wait_for_stop(token);
        return Error{ErrorCode::kCancelled, "stopped"};
      },
      stop->get_token());
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace imagebuild::cli
