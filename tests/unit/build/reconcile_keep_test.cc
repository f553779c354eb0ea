// What a build that did not come to its end leaves to the next one: a pod that puts results into its cache.
#include "build/reconcile.h"

#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

const Work kKeepWork{PodRole::kKeep, 0};

class ReconcileKeep : public testing::TestWithParam<Row> {};

TEST_P(ReconcileKeep, Does) {
  expect_decision(GetParam());
}

api::Told fails_at(int step) {
  api::Told told = failed("Failed", "RUN make ended with exit status 2", 2);
  told.failure->step = told.step = step;
  return told;
}

void with_cache(W& w) {
  w.spec().cache.claim = api::ClaimSource{"results"};
}
// base is done and lib runs.
void one_is_done(W& w) {
  with_cache(w);
  w.building();
  w.ends(stage_work(0), done());
  w.round();
}
// lib fails after it, and nothing runs any more.
void failed_after_one(W& w) {
  one_is_done(w);
  w.ends(stage_work(1), fails_at(0), 1);
  w.round();
}
void keeping(W& w) {
  failed_after_one(w);
  w.round();
  w.runs(kKeepWork);
}
void kept(W& w) {
  keeping(w);
  w.round();
  w.pass(seconds(5));
  w.ends(kKeepWork, done());
}

std::vector<Row> rows() {
  return {
      {"TellsTheFailureBeforeAnythingIsKept",
       [](W& w) {
         one_is_done(w);
         w.ends(stage_work(1), fails_at(0), 1);
       },
       {},
       "False StepFailed stalled"},
      {"KeepsTheStagesThatWereDone", failed_after_one, {"create keep-1"}, "False StepFailed stalled"},
      {"KeepsTheStepsBeforeTheOneThatFailed",
       [](W& w) {
         with_cache(w);
         w.building();
         w.seen.plan->stages[1].keep_layers = true;
         w.ends(stage_work(1), fails_at(1), 1);
         w.round();
         w.deleted_pods_go();
       },
       {"create keep-1"},
       "False StepFailed stalled"},
      {"KeepsNothingOfAStageThatLeavesNoLayers",
       [](W& w) {
         with_cache(w);
         w.building();
         w.ends(stage_work(1), fails_at(1), 1);
         w.round();
         w.deleted_pods_go();
       },
       {},
       "False StepFailed stalled"},
      {"KeepsNothingOfAStageThatDidNotSayHowItFailed",
       [](W& w) {
         with_cache(w);
         w.building();
         w.seen.plan->stages[1].keep_layers = true;
         w.pod(stage_work(1)).told = api::Told{.step = 1};
         w.round();
         w.exits(stage_work(1), 137);
         w.pod(stage_work(1)).terminated_reason = "OOMKilled";
         w.round();
         w.deleted_pods_go();
       },
       {},
       "False OutOfMemory stalled"},
      {"KeepsWhatWasDoneWhenTheBuildIsCancelled",
       [](W& w) {
         one_is_done(w);
         w.spec().cancel = true;
         w.round();
         w.deleted_pods_go();
         w.round();
       },
       {"create keep-1"},
       "False Cancelled stalled"},
      {"KeepsWhatWasDoneWhenThePushIsDenied",
       [](W& w) {
         with_cache(w);
         w.stages_built();
         w.ends(kPublishWork, failed("Denied", "401"), 1);
         w.round();
       },
       {"create keep-1"},
       "False AccessDenied stalled"},
      {"WaitsForThePodsThatStillWrite",
       [](W& w) {
         with_cache(w);
         w.last_stage_runs();
         w.find(w.pod(stage_work(1)).name)->phase = PodPhase::kRunning;
         w.pod(stage_work(1)).told.reset();
         w.ends(stage_work(2), fails_at(0), 1);
         w.round();
         w.round();
       },
       {},
       "False StepFailed stalled"},
      {"DoesNotWaitForAPublishThatOnlyWaitedItself",
       [](W& w) {
         with_cache(w);
         w.last_stage_runs();
         Pod publish = w.pod(stage_work(2));
         publish.work = kPublishWork;
         publish.name = pod_name(w.seen.build, 1, kPublishWork, 1);
         w.seen.pods.push_back(publish);
         w.ends(stage_work(2), fails_at(0), 1);
         w.round();
       },
       {"create keep-1", "delete publish-1"},
       "False StepFailed stalled"},
      {"GivesUpWhenTheyDoNotEnd",
       [](W& w) {
         one_is_done(w);
         w.pass(seconds(1));
         w.ends(stage_work(1), fails_at(0), 1);
         w.pod(stage_work(0)).phase = PodPhase::kRunning;
         w.pod(stage_work(0)).told.reset();
         w.round();
         w.pass(seconds(121));
         w.deleted_pods_go();
       },
       {},
       "False StepFailed stalled"},
      {"KeepsNothingWithoutACache",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.round();
         w.ends(stage_work(1), fails_at(0), 1);
         w.round();
       },
       {},
       "False StepFailed stalled"},
      {"KeepsNothingWhenNoPodMadeAnything",
       [](W& w) {
         with_cache(w);
         w.building();
         w.ends(stage_work(1), fails_at(0), 1);
         w.ends(stage_work(0), fails_at(0), 1);
         w.round();
       },
       {},
       "False StepFailed stalled"},
      {"KeepsNothingThatTheCacheHasAlready",
       [](W& w) {
         with_cache(w);
         w.round();
         w.runs(kPrepareWork);
         w.round();
         w.seen.plan = four_stages();
         api::Told told = done();
         told.cached = {0};
         w.ends(kPrepareWork, told);
         w.round();
         w.ends(stage_work(1), fails_at(0), 1);
         w.round();
       },
       {},
       "False StepFailed stalled"},
      {"KeepsNothingWithoutAVolume",
       [](W& w) {
         failed_after_one(w);
         w.seen.claims[0].lost = true;
       },
       {},
       "False StepFailed stalled"},
      {"LetsAPodThatKeepsRun", [](W& w) { keeping(w), w.pass(seconds(599)); }, {}, "False StepFailed stalled"},
      {"EndsAPodThatKeepsForTooLong",
       [](W& w) { keeping(w), w.pass(seconds(600)); },
       {"delete keep-1"},
       "False StepFailed stalled"},
      {"KeepsOnce", [](W& w) { kept(w); }, {}, "False StepFailed stalled"},
      {"NeedsTheVolumeUntilAllIsKept",
       [](W& w) {
         w.spec().ttl_seconds_after_finished = 0;
         keeping(w);
       },
       {},
       "False StepFailed stalled"},
      {"LetsTheVolumeGoBeforeThePodThatProvesThatAllIsKept",
       [](W& w) {
         w.spec().ttl_seconds_after_finished = 0;
         kept(w);
       },
       {"delete prepare-1", "delete s0-1", "delete s1-1", "delete claim", "delete record"},
       "False StepFailed stalled"},
      {"LetsThatPodGoThen",
       [](W& w) {
         w.spec().ttl_seconds_after_finished = 0;
         kept(w);
         w.round();
         w.deleted_pods_go();
       },
       {"delete keep-1"},
       "False StepFailed stalled"},
      {"CleansUpAfterACancelledBuildWhenAllIsKept",
       [](W& w) {
         one_is_done(w);
         w.spec().cancel = true;
         w.round();
         w.deleted_pods_go();
         w.round();
         w.round();
         w.ends(kKeepWork, done());
       },
       {"delete prepare-1", "delete s0-1", "delete claim", "delete record"},
       "False Cancelled stalled"},
      {"StopsKeepingForABuildThatTakesItsPlace",
       [](W& w) {
         keeping(w);
         w.change_spec("two");
       },
       {"delete prepare-1", "delete s0-1", "delete s1-1", "delete keep-1", "delete claim", "delete record", "claim",
        "create prepare-1"},
       "Unknown Preparing reconciling"},
  };
}
INSTANTIATE_TEST_SUITE_P(Rows, ReconcileKeep, testing::ValuesIn(rows()), kRowName);

TEST(ReconcileKeepPod, IsToldTheStages) {
  World world;
  failed_after_one(world);
  world.decide();
  ASSERT_EQ(world.does(), (Words{"create keep-1"}));
  EXPECT_EQ(std::get<CreatePod>(world.last.actions.front()).stages, (std::vector{0, 3}));
}

TEST(ReconcileKeepPod, WarnsOfWhatItCouldNotKeep) {
  World world;
  keeping(world);
  world.round();
  api::Told told = done();
  told.warnings = {{"", "a result is not kept for later builds: the claim is full", {}}};
  world.ends(kKeepWork, told);
  world.round();
  world.round();
  ASSERT_EQ(world.status().warnings.size(), 1U);
  EXPECT_EQ(world.status().warnings[0].message, "a result is not kept for later builds: the claim is full");
}

TEST(ReconcileKeepPod, WarnsWhenItFailed) {
  World world;
  keeping(world);
  world.round();
  world.exits(kKeepWork, 137);
  world.round();
  ASSERT_EQ(world.status().warnings.size(), 1U);
  EXPECT_EQ(world.status().warnings[0].message, "what the build made is not kept for the next one: its pod failed");
  EXPECT_EQ(world.ready(), "False StepFailed stalled");
}

}  // namespace
}  // namespace imagebuild::build
