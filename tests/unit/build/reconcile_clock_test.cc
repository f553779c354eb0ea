// What spec.timeout and spec.stageTimeout count: not the time in which the build waits for a node or a quota.
#include "base/timestamp.h"
#include "build/reconcile.h"
#include "build/reconcile_work.h"
#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

constexpr seconds kTimeout{300};
constexpr const char* kNoRoom = "0/3 nodes are available: insufficient cpu";

// The scheduler has looked at the pod.
void finds_no_node(W& w, const Work& work) {
  w.pod(work).node.clear();
  w.pod(work).unschedulable = kNoRoom;
}
void gets_node(W& w, const Work& work) {
  w.pod(work).unschedulable.clear();
  w.pod(work).scheduled = w.seen.now;
  w.runs(work);
}
// The first pod waits for a node from now on.
void waits_for_node(W& w) {
  w.spec().timeout = "5m";
  w.round();
  finds_no_node(w, kPrepareWork);
  w.pass(kSchedulingPatience);
  w.round();
}
// The pods of both first stages wait for a node; prepare took a minute.
void stages_wait(W& w) {
  w.spec().timeout = "5m";
  w.round();
  gets_node(w, kPrepareWork);
  w.pass(seconds(60));
  w.seen.plan = four_stages();
  w.ends(kPrepareWork, done());
  w.round();
  finds_no_node(w, stage_work(0));
  finds_no_node(w, stage_work(1));
  w.pass(kSchedulingPatience);
  w.round();
}
void refuse_by_quota(W& w) {
  w.spec().timeout = "5m";
  w.decide();
  w.seen.refusals = {{pod_name(w.seen.build, 1, kPrepareWork, 1), Refusal::Kind::kQuota, "exceeded quota"}};
  w.decide();
}

class ReconcileClock : public testing::TestWithParam<Row> {};

TEST_P(ReconcileClock, Does) {
  expect_decision(GetParam());
}

std::vector<Row> what_does_not_count() {
  return {
      {"TheWaitOfTheFirstPodForANode",
       [](W& w) {
         waits_for_node(w);
         w.pass(kTimeout * 10);
       },
       {},
       "Unknown Unschedulable reconciling"},
      {"TheWaitForANodeOnceItIsOver",
       [](W& w) {
         waits_for_node(w);
         w.pass(kTimeout);
         gets_node(w, kPrepareWork);
         w.round();
         w.pass(kTimeout - seconds(1));
       },
       {},
       "Unknown Preparing reconciling"},
      {"TheWaitOfStagesAfterOthersRan",
       [](W& w) {
         stages_wait(w);
         w.pass(kTimeout);
       },
       {},
       "Unknown Unschedulable reconciling"},
      {"TheWaitForAQuota",
       [](W& w) {
         refuse_by_quota(w);
         w.pass(kTimeout * 10);
       },
       {"claim", "create prepare-1"},
       "Unknown Quota reconciling"},
      {"TheWaitForAQuotaThatARestartedOperatorHasNotTriedAgain",
       [](W& w) {
         refuse_by_quota(w);
         w.pass(kTimeout * 10);
         w.seen.refusals.clear();
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"TheWaitOfAPodThatVanished",
       [](W& w) {
         waits_for_node(w);
         w.pass(kTimeout);
         w.vanishes(kPrepareWork);
         w.round();
         w.pass(kFirstRetryDelay);
       },
       {"create prepare-2"},
       "Unknown Preparing reconciling"},
      {"TheWaitWhoseEndNoOperatorSaw",
       [](W& w) {
         waits_for_node(w);
         w.pass(kTimeout);
         gets_node(w, kPrepareWork);
         w.pass(kTimeout - seconds(1));
       },
       {},
       "Unknown Preparing reconciling"},
      {"TheWaitThatBeganWhenANodeWasLost",
       [](W& w) {
         w.spec().timeout = "5m";
         w.round();
         gets_node(w, kPrepareWork);
         w.round();
         w.pod(kPrepareWork).deletion = w.seen.now;
         w.pass(kLostAfterGrace);
         w.round();
         w.pass(kFirstRetryDelay);
         w.round();
         finds_no_node(w, kPrepareWork);
         w.pass(kSchedulingPatience);
         w.round();
         w.pass(kTimeout);
       },
       {},
       "Unknown Unschedulable reconciling"},
      {"TheWaitOfAStageTowardsItsOwnTime",
       [](W& w) {
         w.spec().stage_timeout = "1m";
         stages_wait(w);
         w.pass(kTimeout);
         gets_node(w, stage_work(0));
         gets_node(w, stage_work(1));
         w.round();
         w.pass(seconds(59));
       },
       {},
       "Unknown Building reconciling"},
  };
}

std::vector<Row> what_counts() {
  return {
      {"WhatCameBeforeAndAfterTheWait",
       [](W& w) {
         stages_wait(w);
         w.pass(kTimeout);
         gets_node(w, stage_work(0));
         gets_node(w, stage_work(1));
         w.round();
         w.pass(kTimeout - seconds(60));
       },
       {"delete s0-1", "delete s1-1"},
       "False DeadlineExceeded stalled"},
      {"TheTimeAfterAWaitWhoseEndNoOperatorSaw",
       [](W& w) {
         waits_for_node(w);
         w.pass(kTimeout);
         gets_node(w, kPrepareWork);
         w.pass(kTimeout);
       },
       {"delete prepare-1"},
       "False DeadlineExceeded stalled"},
      {"TheWaitOfOneStageWhileAnotherRuns",
       [](W& w) {
         stages_wait(w);
         gets_node(w, stage_work(0));
         w.round();
         w.pass(kTimeout - seconds(60));
       },
       {"delete s0-1", "delete s1-1"},
       "False DeadlineExceeded stalled"},
      {"TheWaitForASecretAfterTheWaitForAQuota",
       [](W& w) {
         refuse_by_quota(w);
         w.pass(kTimeout);
         w.seen.missing = {{api::Reference::Kind::kSecret, "token", ""}};
         w.decide();
         w.pass(kTimeout);
       },
       {},
       "False DeadlineExceeded stalled"},
      {"TheTimeOfAPodOnItsNode",
       [](W& w) {
         w.spec().stage_timeout = "1m";
         stages_wait(w);
         w.pass(kTimeout);
         gets_node(w, stage_work(0));
         gets_node(w, stage_work(1));
         w.round();
         w.pass(seconds(60));
       },
       {"delete s0-1", "delete s1-1"},
       "False StageDeadlineExceeded stalled"},
  };
}

INSTANTIATE_TEST_SUITE_P(DoesNotCount, ReconcileClock, testing::ValuesIn(what_does_not_count()), kRowName);
INSTANTIATE_TEST_SUITE_P(Counts, ReconcileClock, testing::ValuesIn(what_counts()), kRowName);

TEST(ReconcileWait, SaysSinceWhenAndWhatTheSchedulerSays) {
  World w;
  const WallTime begun = w.seen.now;
  waits_for_node(w);
  EXPECT_EQ(w.status().waiting_since, begun);
  EXPECT_EQ(w.status().waited, "");
  EXPECT_EQ(api::find_condition(w.status(), api::kReadyCondition)->message, kNoRoom);
}

TEST(ReconcileWait, AddsUpWaits) {
  World w;
  waits_for_node(w);
  w.pass(seconds(96));
  gets_node(w, kPrepareWork);
  w.pass(seconds(20));
  w.round();
  EXPECT_EQ(w.status().waited, "1m40s");
  EXPECT_FALSE(w.status().waiting_since);
  w.seen.plan = four_stages();
  w.ends(kPrepareWork, done());
  const WallTime prepared = w.seen.now;
  w.round();
  finds_no_node(w, stage_work(0));
  finds_no_node(w, stage_work(1));
  w.pass(seconds(20));
  w.round();
  EXPECT_EQ(w.status().waiting_since, prepared);
  gets_node(w, stage_work(1));
  w.pass(seconds(5));
  w.round();
  EXPECT_EQ(w.status().waited, "2m0s");
}

TEST(ReconcileWait, CountsFromTheEndOfWhatRanBesideThePodThatWaits) {
  World w;
  stages_wait(w);
  w.pass(seconds(30));
  gets_node(w, stage_work(0));
  w.round();
  const std::string before = w.status().waited;
  EXPECT_EQ(before, "34s");
  w.pass(seconds(30));
  w.ends(stage_work(0), done());
  w.pass(seconds(3));
  w.round();
  EXPECT_EQ(w.status().waiting_since, w.seen.now - seconds(3));
  EXPECT_EQ(w.status().waited, before);
}

TEST(ReconcileWait, AsksForNoDeadlineWhileItWaits) {
  World w;
  waits_for_node(w);
  w.pass(kTimeout * 2);
  w.round();
  EXPECT_EQ(w.requeue(), seconds(10));
}

TEST(ReconcileWait, SaysAtTheDeadlineWhatDidNotCount) {
  World w;
  waits_for_node(w);
  w.pass(kTimeout);
  gets_node(w, kPrepareWork);
  w.round();
  w.pass(kTimeout);
  w.round();
  EXPECT_EQ(w.status().failure->message,
            "the build did not end within 5m, without the 5m4s in which it waited for a node or a quota");
}

TEST(ReconcileWait, CanBeCancelled) {
  World w;
  waits_for_node(w);
  w.pass(seconds(10));
  w.spec().cancel = true;
  w.round();
  EXPECT_EQ(w.does(), Words{"delete prepare-1"});
  w.seen.pods.clear();
  w.round();
  EXPECT_EQ(w.ready(), "False Cancelled stalled");
  EXPECT_EQ(w.status().waited, "14s");
  EXPECT_FALSE(w.status().waiting_since);
}

TEST(ReconcileWait, BeginsAnewAfterASuspension) {
  World w;
  waits_for_node(w);
  w.pass(kTimeout);
  w.spec().suspend = true;
  w.round();
  EXPECT_FALSE(w.status().waiting_since);
  w.deleted_pods_go();
  w.pass(kTimeout);
  w.spec().suspend = false;
  w.round();
  EXPECT_EQ(w.status().waited, "");
  w.pass(kTimeout);
  w.round();
  EXPECT_EQ(w.ready(), "False DeadlineExceeded stalled");
}

TEST(ReconcileWait, DoesNotHoldUpABuildThatFailsOtherwise) {
  World w;
  refuse_by_quota(w);
  w.seen.refusals.front().kind = Refusal::Kind::kInvalid;
  w.round();
  EXPECT_EQ(w.ready(), "False InvalidPod stalled");
  EXPECT_FALSE(w.status().waiting_since);
}

// A pod that is made ahead waits on the volume until its needs are done: that is not its time.
TEST(ReconcileOwnTime, OfAPodMadeAheadBeginsWhenItsNeedsAreDone) {
  World w;
  w.spec().stage_defaults.resources.requests.clear();
  w.building();
  gets_node(w, stage_work(2));
  w.round();
  EXPECT_EQ(w.status().stages[2].work.phase, api::WorkPhase::kPending);
  EXPECT_THAT(w.events(), testing::IsEmpty());
  w.pass(seconds(60));
  w.ends(stage_work(0), done());
  w.ends(stage_work(1), done());
  const WallTime ready = w.seen.now;
  w.round();
  EXPECT_EQ(w.status().stages[2].work.phase, api::WorkPhase::kRunning);
  EXPECT_EQ(w.status().stages[2].work.start_time, ready);
  EXPECT_THAT(w.events(), testing::Contains("StageStarted"));
  gets_node(w, kPublishWork);
  w.pass(seconds(30));
  w.round();
  EXPECT_EQ(w.status().publish.phase, api::WorkPhase::kPending);
  w.ends(stage_work(2), done());
  w.round();
  EXPECT_EQ(w.status().publish.phase, api::WorkPhase::kRunning);
  EXPECT_EQ(w.status().publish.start_time, w.seen.now);
  EXPECT_EQ(w.status().stages[2].work.start_time, ready);
}

}  // namespace
}  // namespace imagebuild::build
