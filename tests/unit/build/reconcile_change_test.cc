#include "build/reconcile.h"

#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

class ReconcileChange : public testing::TestWithParam<Row> {};

TEST_P(ReconcileChange, Does) {
  expect_decision(GetParam());
}

std::vector<Row> what_the_user_changes() {
  return {
      {"CancelsTheRunningBuildForANewSpec",
       [](W& w) {
         w.building();
         w.change_spec("two");
       },
       {"delete prepare-1", "delete s0-1", "delete s1-1", "delete claim", "delete record", "claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"BuildsAgainForANewSpec",
       [](W& w) {
         w.built();
         w.round();
         w.deleted_pods_go();
         w.change_spec("two");
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"LooksForItsImageOnlyWhenAnOlderPublishIsOver",
       [](W& w) {
         w.spec().cache.claim = api::ClaimSource{"results"};
         w.stages_built();
         w.runs(kPublishWork);
         w.round();
         w.change_spec("two");
         w.round();
       },
       {},
       "Unknown Preparing reconciling"},
      {"BuildsAgainAfterAFailureForANewSpec",
       [](W& w) {
         w.round();
         w.ends(kPrepareWork, failed("NotFound", "no"), 1);
         w.round();
         w.change_spec("two");
       },
       {"delete prepare-1", "delete claim", "claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"DoesNotPublishBesideAnOlderPublish",
       [](W& w) {
         w.stages_built();
         w.runs(kPublishWork);
         w.round();
         w.change_spec("two");
         w.round();
         w.seen.plan = four_stages();
         api::Told told = done();
         told.cached = {0, 1, 2, 3};
         w.ends(kPrepareWork, told);
         std::erase_if(w.seen.pods, [](const Pod& p) { return p.generation == 1 && p.work != kPublishWork; });
       },
       {"record"},
       "Unknown Publishing reconciling"},
      {"GoesOnWhenOnlyTheTtlChanges",
       [](W& w) {
         w.building();
         ++w.seen.build.generation;
         w.spec().ttl_seconds_after_finished = 5;
       },
       {},
       "Unknown Building reconciling"},
      {"SuspendsBeforeItStarts", [](W& w) { w.spec().suspend = true; }, {}, "False Suspended"},
      {"StopsPodsToSuspend",
       [](W& w) {
         w.building();
         w.spec().suspend = true;
       },
       {"delete s0-1", "delete s1-1"},
       "False Suspended"},
      {"GoesOnFromFinishedStagesAndCountsNoLoss",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.round();
         w.spec().suspend = true;
         w.round();
         w.deleted_pods_go();
         w.round();
         w.spec().suspend = false;
         w.pass(seconds(99'999));
       },
       {"create s1-2"},
       "Unknown Building reconciling"},
      {"DoesNotGoOnBesideAPodThatStillEnds",
       [](W& w) {
         w.building();
         w.spec().suspend = true;
         w.round();
         w.spec().suspend = false;
       },
       {},
       "Unknown Building reconciling"},
      {"StopsPodsToCancel",
       [](W& w) {
         w.building();
         w.spec().cancel = true;
       },
       {"delete s0-1", "delete s1-1"},
       "Unknown Cancelling reconciling"},
      {"IsCancelledWhenThePodsAreGone",
       [](W& w) {
         w.building();
         w.spec().cancel = true;
         w.round();
         w.deleted_pods_go();
       },
       {},
       "False Cancelled stalled"},
      {"CancelsWhatNeverStarted", [](W& w) { w.spec().cancel = true; }, {}, "False Cancelled stalled"},
      {"DeletesEverythingOfACancelledBuild",
       [](W& w) {
         w.building();
         w.spec().cancel = true;
         w.round();
         w.deleted_pods_go();
         w.round();
       },
       {"delete prepare-1", "delete claim", "delete record"},
       "False Cancelled stalled"},
      {"LetsAnImageThatWasPushedWinOverCancel",
       [](W& w) {
         w.stages_built();
         w.runs(kPublishWork);
         w.round();
         w.spec().cancel = true;
         w.round();
         w.ends(kPublishWork, pushed("sha256:11"));
       },
       {},
       "True Succeeded"},
      {"DoesNotCancelWhatIsFinished",
       [](W& w) {
         w.built();
         w.round();
         w.deleted_pods_go();
         w.spec().cancel = true;
         ++w.seen.build.generation;
       },
       {},
       "True Succeeded"},
      {"BuildsAgainWhenCancelIsTakenBack",
       [](W& w) {
         w.spec().cancel = true;
         w.round();
         w.spec().cancel = false;
         ++w.seen.build.generation;
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"BuildsAnewWhenCancelIsTakenBackTooLate",
       [](W& w) {
         w.building();
         w.spec().cancel = true;
         w.round();
         w.spec().cancel = false;
         ++w.seen.build.generation;
       },
       {"delete prepare-1", "delete claim", "delete record", "claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
  };
}

INSTANTIATE_TEST_SUITE_P(Changes, ReconcileChange, testing::ValuesIn(what_the_user_changes()), kRowName);

}  // namespace
}  // namespace imagebuild::build
