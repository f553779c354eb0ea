// What a plan means for the cluster besides its stages: what ends a build before them, and what it warns of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/build/reconcile_world.h"

namespace imagebuild::build {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

api::RunStep& run_in(api::Plan& plan, std::size_t stage, int line) {
  plan.stages[stage].steps.push_back({.at = {line, 1}, .text = "RUN special", .action = api::RunStep{}});
  return std::get<api::RunStep>(plan.stages[stage].steps.back().action);
}

// Prepared, with that plan.
World prepared_with(const api::Plan& plan, const std::function<void(World&)>& before = {}) {
  World w;
  if (before) before(w);
  w.round();
  w.runs(kPrepareWork);
  w.round();
  w.seen.plan = plan;
  w.ends(kPrepareWork, done());
  w.round();
  return w;
}

TEST(ReconcileLanguage, EndsABuildThatAClusterCannotDoBeforeItsFirstStage) {
  api::Plan plan = four_stages();
  run_in(plan, 1, 9).network = api::Network::kHost;
  const World w = prepared_with(plan);
  EXPECT_EQ(w.ready(), "False Unsupported stalled");
  EXPECT_THAT(w.does(), Not(Contains(HasSubstr("create"))));
  ASSERT_TRUE(w.status().failure);
  EXPECT_EQ(w.status().failure->stage, "lib");
  EXPECT_EQ(w.status().failure->line, 9);
  EXPECT_EQ(w.status().failure->step, "RUN special");
}

TEST(ReconcileLanguage, DoesNotStartAgainWhatDoesNotFit) {
  api::Plan plan = four_stages();
  run_in(plan, 1, 9).secrets = {{.id = "token", .required = true}};
  World w = prepared_with(plan);
  w.round();
  w.round();
  EXPECT_EQ(w.ready(), "False NotFound stalled");
  EXPECT_THAT(w.events(), IsEmpty());
}

TEST(ReconcileLanguage, ListsTheWarningsOfThePlanTheClusterAndTheImage) {
  api::Plan plan = four_stages();
  plan.warnings = {{"StageNameCasing", "write it small", {2, 5}}, {"", "a remark", {}}};
  run_in(plan, 0, 6).mounts = {api::CacheMount{.id = "pip", .target = "/root/.cache"}};
  World w = prepared_with(plan);
  ASSERT_EQ(w.status().warnings.size(), 3U);
  EXPECT_EQ(w.status().warnings[0], (api::WarningStatus{"StageNameCasing", "write it small", 2, 5}));
  EXPECT_EQ(w.status().warnings[1], (api::WarningStatus{"", "a remark", 0, 0}));
  EXPECT_EQ(w.status().warnings[2].line, 6);
  EXPECT_THAT(w.status().warnings[2].message, HasSubstr("spec.cacheMounts"));
  EXPECT_THAT(w.events(), Not(Contains("BuildWarnings")));

  for (const int stage : {0, 1, 2}) {
    w.runs(stage_work(stage));
    w.round();
    w.ends(stage_work(stage), done());
    w.round();
  }
  w.runs(kPublishWork);
  w.round();
  api::Told told = pushed("sha256:11");
  told.warnings = {{"BuildToolsInImage", "gcc is in it", {4, 1}}};
  w.ends(kPublishWork, told);
  w.round();
  ASSERT_EQ(w.status().warnings.size(), 4U);
  EXPECT_EQ(w.status().warnings[3].rule, "BuildToolsInImage");
  EXPECT_THAT(w.events(), ElementsAre("StageSucceeded", "BuildWarnings", "BuildSucceeded"));
  for (const Action& action : w.last.actions) {
    const auto* event = std::get_if<EmitEvent>(&action);
    if (event == nullptr || event->reason != api::reason::kBuildWarnings) continue;
    EXPECT_TRUE(event->warning);
    EXPECT_EQ(event->note,
              "4 warnings: BuildToolsInImage (1), StageNameCasing (1), others (2); status.warnings has them");
  }
  w.round();
  EXPECT_THAT(w.events(), IsEmpty());
}

TEST(ReconcileLanguage, SaysHowManyWarningsItLeavesOut) {
  api::Plan plan = four_stages();
  plan.warnings.assign(api::kMaxWarnings + 5, {"Rule", "message", {1, 1}});
  const World w = prepared_with(plan);
  ASSERT_EQ(w.status().warnings.size(), api::kMaxWarnings);
  EXPECT_THAT(w.status().warnings.back().message, HasSubstr("and 6 more"));
}

TEST(ReconcileLanguage, NamesTheArchitectureThatNoNodeHas) {
  api::Plan plan = four_stages();
  for (api::PlanStage& stage : plan.stages) stage.platform = "linux/arm64/v8";
  World w = prepared_with(plan);
  w.pod(stage_work(0)).unschedulable = "0/2 nodes are available";
  w.pass(seconds(10));
  w.round();
  EXPECT_EQ(w.ready(), "Unknown Unschedulable reconciling");
  EXPECT_EQ(api::find_condition(w.status(), api::kReadyCondition)->message,
            "stage 'base' needs a node with kubernetes.io/arch=arm64: 0/2 nodes are available");
}

TEST(ReconcileLanguage, SaysThatTheClaimForCachesIsMissing) {
  World w;
  w.spec().cache_mounts.claim = api::ClaimSource{"caches"};
  w.seen.missing = {{api::Reference::Kind::kClaim, "caches", ""}};
  w.round();
  EXPECT_EQ(w.ready(), "Unknown MissingClaim reconciling");
  EXPECT_EQ(api::find_condition(w.status(), api::kReadyCondition)->message,
            "the PersistentVolumeClaim 'caches' does not exist");
}

}  // namespace
}  // namespace imagebuild::build
