#include "build/reconcile.h"

#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

class ReconcileAhead : public testing::TestWithParam<Row> {};

TEST_P(ReconcileAhead, Does) {
  expect_decision(GetParam());
}

// Pods made before what they wait for is done.
std::vector<Row> what_is_made_ahead() {
  return {
      {"MakesPublishBesideTheLastStage",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.ends(stage_work(1), done());
         w.round();
         w.pod(stage_work(2)).node = "node-1";
       },
       {"create early publish-1"},
       "Unknown Building reconciling"},
      {"MakesThePodOfAStageThatAsksForNothingBesideThoseThatItNeeds",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.prepared();
         w.runs(stage_work(0));
         w.runs(stage_work(1));
       },
       {"create early s2-1"},
       "Unknown Building reconciling"},
      {"MakesPublishBesideAStageThatWaits",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.building();
       },
       {"create early publish-1"},
       "Unknown Building reconciling"},
      {"CallsThePodsBackThatWaitForALostStage",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.building();
         w.round();
         w.vanishes(stage_work(1));
       },
       {"delete s2-1", "delete publish-1"},
       "Unknown Retrying reconciling"},
      {"CallsThePodsBackThatWaitForAStageOfWhosePodTheStatusNeverTold",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.building();
         w.vanishes(stage_work(1));
         w.seen.build.status.stages[1].work = {};
       },
       {"create s1-1", "delete s2-1"},
       "Unknown Building reconciling"},
      {"MakesNoPodAheadForAStageThatIsTriedAgain",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.building();
         w.vanishes(stage_work(1));
         w.round();
         w.deleted_pods_go();
         w.pass(seconds(10));
         w.round();
         w.runs(stage_work(1));
       },
       {},
       "Unknown Building reconciling"},
      {"MakesNoPodAheadForAStageWhoseNeedsHaveNoPlace",
       [](W& w) {
         w.spec().stage_defaults.resources = {};
         w.prepared();
         w.runs(stage_work(0));
         w.pod(stage_work(1)).node.clear();
       },
       {},
       "Unknown Building reconciling"},
      {"MakesNoPublishWhileAStageWaitsForItsNode",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.ends(stage_work(1), done());
         w.round();
         w.pod(stage_work(2)).node.clear();
       },
       {},
       "Unknown Building reconciling"},
      {"MakesNoPublishAheadWhereItMayBeOnAnotherNode",
       [](W& w) {
         w.spec().artifacts.volume.access_modes = {"ReadWriteMany"};
         w.building();
         w.ends(stage_work(0), done());
         w.ends(stage_work(1), done());
         w.round();
         w.runs(stage_work(2));
       },
       {},
       "Unknown Building reconciling"},
      {"CallsPublishBackWhenTheStageItWaitsForIsLost",
       [](W& w) {
         w.last_stage_runs();
         w.runs(kPublishWork);
         w.round();
         w.vanishes(stage_work(2));
       },
       {"delete publish-1"},
       "Unknown Retrying reconciling"},
      {"TakesThePublishThatWaitedForNoLossWhenItIsCancelled",
       [](W& w) {
         w.last_stage_runs();
         w.runs(kPublishWork);
         w.spec().cancel = true;
         w.round();
         w.ends(kPublishWork, failed("Cancelled", "stopped"), 3);
         w.deleted_pods_go();
       },
       {},
       "False Cancelled stalled"},
  };
}

INSTANTIATE_TEST_SUITE_P(Ahead, ReconcileAhead, testing::ValuesIn(what_is_made_ahead()), kRowName);

}  // namespace
}  // namespace imagebuild::build
