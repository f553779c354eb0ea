#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/timestamp.h"
#include "build/placement.h"
#include "unit/build/reconcile_world.h"

namespace imagebuild::build {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ReconcileStatus, TellsTheWholeStoryInEvents) {
  World w;
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("BuildStarted"));
  w.runs(kPrepareWork);
  w.seen.plan = four_stages();
  w.ends(kPrepareWork, done());
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("Prepared"));
  w.runs(stage_work(0));
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("StageStarted"));
  w.ends(stage_work(0), done());
  w.ends(stage_work(1), failed("Failed", "exit status 2", 2), 1);
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("StageSucceeded", "StageFailed", "BuildFailed"));
}

TEST(ReconcileStatus, TellsLossesWaitsAndChangesInEvents) {
  World w;
  w.building();
  w.vanishes(stage_work(0));
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("AttemptLost"));
  w.spec().suspend = true;
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("BuildSuspended"));
  w.deleted_pods_go();
  w.spec().suspend = false;
  w.seen.missing = {{api::Reference::Kind::kSecret, "s", ""}};
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("BuildResumed", "BuildWaiting"));
  w.change_spec("two");
  w.round();
  EXPECT_THAT(w.events(), ElementsAre("BuildSuperseded", "BuildStarted"));
}

TEST(ReconcileStatus, CountsStages) {
  World w;
  w.building();
  EXPECT_EQ(w.status().stage_summary, "0/4");
  w.ends(stage_work(0), done());
  w.round();
  EXPECT_EQ(w.status().stage_summary, "1/4");
  World end;
  end.built();
  EXPECT_EQ(end.status().stage_summary, "4/4");
}

TEST(ReconcileStatus, SaysWhatEachStageDoes) {
  World w;
  w.building();
  w.pod(stage_work(0)).told = api::Told{.step = 1, .export_bytes = 42};
  w.round();
  const api::StageStatus& base = w.status().stages.at(0);
  EXPECT_EQ(base.name, "base");
  EXPECT_EQ(base.work.phase, api::WorkPhase::kRunning);
  EXPECT_EQ(base.work.node, "node-1");
  EXPECT_EQ(base.step, 2);
  EXPECT_EQ(base.steps, 2);
  EXPECT_EQ(base.export_bytes, 42);
  EXPECT_EQ(base.base_image, "alpine:3.18");
  EXPECT_EQ(base.base_digest, "sha256:aa");
  EXPECT_EQ(w.status().stages.at(3).base_image, "scratch");
}

TEST(ReconcileStatus, NamesTheStepThatFailed) {
  World w;
  w.building();
  api::Told told = failed("Failed", "the command ended with exit status 2", 2);
  told.failure->stage = "lib";
  told.failure->step = 1;
  told.failure->at = {4, 1};
  told.failure->log_tail = {"cc: error", std::string(2000, 'x')};
  w.ends(stage_work(1), told, 1);
  w.round();
  ASSERT_TRUE(w.status().failure);
  const api::FailureStatus& failure = *w.status().failure;
  EXPECT_EQ(failure.stage, "lib");
  EXPECT_EQ(failure.step, "RUN make install");
  EXPECT_EQ(failure.line, 4);
  EXPECT_EQ(failure.exit_code, 2);
  EXPECT_EQ(failure.reason, "StepFailed");
  EXPECT_EQ(failure.log_tail.at(0), "cc: error");
  EXPECT_LE(failure.log_tail.at(1).size(), api::kMaxLogLineBytes);
  EXPECT_EQ(w.status().stages.at(0).work.phase, api::WorkPhase::kCancelled);
}

// Whichever stage fails, and in whatever order the others are looked at.
TEST(ReconcileStatus, OfAFailedBuildSaysNothingOfPodsThatOnlyWaited) {
  for (const int failing : {0, 1}) {
    World w;
    w.spec().stage_defaults.resources = {};
    w.building();
    w.runs(stage_work(2));
    w.round();
    w.runs(kPublishWork);
    w.round();
    ASSERT_EQ(w.status().publish.phase, api::WorkPhase::kPending);
    w.ends(stage_work(failing), failed("Failed", "the command ended with exit status 2", 2), 1);
    w.round();
    const auto& stages = w.status().stages;
    EXPECT_EQ(stages.at(static_cast<std::size_t>(failing)).work.phase, api::WorkPhase::kFailed);
    EXPECT_EQ(stages.at(static_cast<std::size_t>(1 - failing)).work.phase, api::WorkPhase::kCancelled);
    EXPECT_EQ(stages.at(2).work, api::WorkStatus());
    EXPECT_EQ(w.status().publish, api::WorkStatus());
    EXPECT_EQ(w.does().size(), 3U) << "the pods of the other stage, of the one that waited and of publish are deleted";
  }
}

TEST(ReconcileStatus, SaysWhatItWaitedForAtTheDeadline) {
  World w;
  w.seen.missing = {{api::Reference::Kind::kSecret, "token", "key"}};
  w.round();
  w.pass(seconds(3600));
  w.round();
  EXPECT_EQ(w.status().failure->message,
            "the build did not end within 1h; it waited: the Secret 'token' has no key 'key'");
}

TEST(ReconcileStatus, KeepsEarlierImages) {
  World w;
  const auto build_again = [&](const std::string& digest) {
    w.built(digest);
    w.round();
    w.deleted_pods_go();
    w.change_spec("after " + std::to_string(w.seen.build.generation));
  };
  build_again("sha256:00");
  EXPECT_THAT(w.status().history, IsEmpty());
  build_again("sha256:00");
  EXPECT_THAT(w.status().history, IsEmpty()) << "the same image again";
  for (int i = 1; i <= 7; ++i) build_again("sha256:1" + std::to_string(i));
  EXPECT_EQ(w.status().image.digest, "sha256:17");
  ASSERT_EQ(w.status().history.size(), api::kMaxHistory);
  EXPECT_EQ(w.status().history.front().digest, "sha256:16");
  EXPECT_EQ(w.status().history.front().generation, 8);
}

TEST(ReconcileStatus, KeepsTheEarlierImageWhileTheNextIsBuilt) {
  World w;
  w.built("sha256:11");
  w.change_spec("two");
  w.round();
  EXPECT_EQ(w.status().image.digest, "sha256:11");
  EXPECT_EQ(w.status().build.generation, 2);
}

TEST(ReconcileStatus, MovesATransitionTimeOnlyWhenTheStatusMoves) {
  World w;
  w.round();
  const auto first = api::find_condition(w.status(), api::kReadyCondition)->last_transition_time;
  w.pass(seconds(10));
  w.prepared();
  EXPECT_EQ(api::find_condition(w.status(), api::kReadyCondition)->last_transition_time, first);
  World end;
  end.built();
  EXPECT_EQ(end.status().duration, "0s");
  EXPECT_EQ(api::find_condition(end.status(), api::kReconcilingCondition), nullptr);
}

TEST(ReconcileStatus, FollowsTheGenerationWithoutANewBuild) {
  World w;
  w.built();
  w.seen.build.generation = 9;
  w.round();
  EXPECT_EQ(w.status().observed_generation, 9);
  EXPECT_EQ(w.status().build.generation, 1);
  for (const api::Condition& condition : w.status().conditions) EXPECT_EQ(condition.observed_generation, 9);
}

TEST(ReconcileStatus, AsksToBeWokenAtTheDeadline) {
  World w;
  w.spec().timeout = "10m";
  w.round();
  EXPECT_EQ(w.requeue(), std::chrono::minutes(10));
  w.spec().stage_timeout = "2m";
  w.runs(kPrepareWork);
  w.pass(seconds(30));
  w.round();
  EXPECT_EQ(w.requeue(), seconds(90));
}

TEST(ReconcileStatus, AsksToBeWokenWhenARetryIsDueAndWhenTheTtlEnds) {
  World w;
  w.building();
  w.vanishes(stage_work(0));
  w.round();
  EXPECT_EQ(w.requeue(), seconds(5));
  w.ends(stage_work(1), failed("Failed", "no", 1), 1);
  w.round();
  EXPECT_EQ(w.requeue(), seconds(3600));
}

TEST(ReconcilePods, RunWhereTheClaimIs) {
  World w;
  w.round();
  w.runs(kPrepareWork, "node-7");
  w.seen.plan = four_stages();
  w.ends(kPrepareWork, done());
  w.round();
  EXPECT_EQ(w.pod(stage_work(0)).node, "node-7");
  World shared;
  shared.spec().artifacts.volume.access_modes = {"ReadWriteMany"};
  shared.round();
  shared.runs(kPrepareWork, "node-7");
  shared.seen.plan = four_stages();
  shared.ends(kPrepareWork, done());
  shared.round();
  EXPECT_EQ(shared.pod(stage_work(0)).node, "");
}

TEST(ReconcilePods, MayLeaveANodeAfterALoss) {
  World w;
  w.building();
  w.vanishes(stage_work(0));
  w.round();
  w.pass(seconds(5));
  w.round();
  EXPECT_EQ(w.pod(stage_work(0)).node, "");
}

TEST(ReconcileNames, FitIntoALabelAndTellBuildsApart) {
  api::ImageBuild build;
  build.name = std::string(40, 'a') + "." + std::string(200, 'b');
  build.uid = "u";
  const std::string name = pod_name(build, 1234567890123, stage_work(499), 11);
  EXPECT_LE(name.size(), 63U);
  EXPECT_EQ(name.find('.'), std::string::npos);
  EXPECT_TRUE(name.ends_with("-1234567890123-s499-11"));
  api::ImageBuild other = build;
  other.uid = "v";
  EXPECT_NE(pod_name(other, 1, kPrepareWork, 1), pod_name(build, 1, kPrepareWork, 1));
  build.name = "app";
  EXPECT_EQ(claim_name(build, 3), "app-" + claim_name(build, 3).substr(4, 8) + "-3-artifacts");
}

TEST(Placement, ComputesWhereNoPodIsNeeded) {
  using enum Place;
  EXPECT_THAT(place_stages(four_stages()), ElementsAre(kPod, kPod, kPod, kPublish));
  api::Plan plan = four_stages();
  plan.stages[0].needs_container = false;  // A pod needs it, and it needs nothing.
  EXPECT_THAT(place_stages(plan), ElementsAre(kPrepare, kPod, kPod, kPublish));
  plan.stages[2].needs_container = false;  // Now only the final stage needs it.
  EXPECT_THAT(place_stages(plan), ElementsAre(kPublish, kPod, kPublish, kPublish));
  plan.stages[3].needs_container = true;  // Between two pods.
  EXPECT_THAT(place_stages(plan), ElementsAre(kPrepare, kPod, kPod, kPod));
}

}  // namespace
}  // namespace imagebuild::build
