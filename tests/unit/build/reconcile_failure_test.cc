#include "build/reconcile.h"

#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

class ReconcileFailure : public testing::TestWithParam<Row> {};

TEST_P(ReconcileFailure, Does) {
  expect_decision(GetParam());
}

std::vector<Row> what_fails_for_good() {
  return {
      {"RefusesAnInvalidSpecAndStartsNothing",
       [](W& w) { w.spec().output.image = "UPPER"; },
       {},
       "False InvalidSpec stalled"},
      {"RefusesASpecOfTheWrongShape",
       [](W& w) {
         w.seen.build.spec_error = Error{ErrorCode::kInvalidInput, "spec.output must be an object"};
       },
       {},
       "False InvalidSpec stalled"},
      {"StartsWhenTheSpecIsMended",
       [](W& w) {
         w.spec().output.image = "UPPER";
         w.round();
         w.spec().output.image = "registry.example/app";
         w.change_spec("two");
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"StartsWhenANewerOperatorFindsTheSpecRight",
       [](W& w) {
         w.spec().output.image = "UPPER";
         w.round();
         w.spec().output.image = "registry.example/app";
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"StopsABuildWhoseSpecBecomesInvalid",
       [](W& w) {
         w.prepared();
         w.change_spec("two");
         w.spec().output.image = "UPPER";
       },
       {"delete prepare-1", "delete s0-1", "delete s1-1", "delete claim", "delete record"},
       "False InvalidSpec stalled"},
      {"NeverRepeatsAFailedRun",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), failed("Failed", "RUN make ended with exit status 2", 2), 1);
       },
       {"delete s1-1"},
       "False StepFailed stalled"},
      {"EndsWhenTheDockerfileIsWrong",
       [](W& w) {
         w.round();
         w.ends(kPrepareWork, failed("InvalidInput", "Dockerfile:3: unknown instruction"), 1);
       },
       {},
       "False InvalidInput stalled"},
      {"EndsWhenTheRevisionIsNotThere",
       [](W& w) {
         w.round();
         w.ends(kPrepareWork, failed("NotFound", "no such branch"), 1);
       },
       {},
       "False NotFound stalled"},
      {"EndsWhenPushingIsDenied",
       [](W& w) {
         w.stages_built();
         w.ends(kPublishWork, failed("Denied", "401"), 1);
       },
       {},
       "False AccessDenied stalled"},
      {"EndsWhenMemoryIsUsedUp",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 137);
         w.pod(stage_work(0)).terminated_reason = "OOMKilled";
       },
       {"delete s1-1"},
       "False OutOfMemory stalled"},
      {"EndsWhenACommandUsedUpTheMemory",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), failed("Failed", "the command was ended by signal 9", 137), 1);
         w.pod(stage_work(0)).terminated_reason = "OOMKilled";
       },
       {"delete s1-1"},
       "False OutOfMemory stalled"},
      {"WaitsForTheEndOfAPodToSayWhyACommandWasKilled",
       [](W& w) {
         w.building();
         w.runs(stage_work(0));
         w.pod(stage_work(0)).told = failed("Failed", "the command was ended by signal 9", 137);
       },
       {},
       "Unknown Building reconciling"},
      {"EndsWhenACommandWasKilled",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), failed("Failed", "the command was ended by signal 9", 137), 1);
       },
       {"delete s1-1"},
       "False StepFailed stalled"},
      {"ReadsTheLogOfAPodThatToldNothing",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 1);
       },
       {"read s0-1"},
       "Unknown Building reconciling"},
      {"EndsWhenTheLogSaysNothingEither",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 1);
         w.pod(stage_work(0)).outcome_read = true;
       },
       {"delete s1-1"},
       "False ContainerFailed stalled"},
      {"BelievesTheExitStatusOfAStageWhoseReportWasCutOff",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 0);
         w.exits(stage_work(1), 0);
       },
       {"create s2-1"},
       "Unknown Building reconciling"},
      {"ReadsThePlanFromTheLogWhenTheReportWasCutOff",
       [](W& w) {
         w.round();
         w.exits(kPrepareWork, 0);
       },
       {"read prepare-1"},
       "Unknown Preparing reconciling"},
      {"ReadsTheDigestFromTheLogWhenTheReportWasCutOff",
       [](W& w) {
         w.stages_built();
         w.exits(kPublishWork, 0);
       },
       {"read publish-1"},
       "Unknown Publishing reconciling"},
      {"EndsAtTheDeadline",
       [](W& w) {
         w.building();
         w.pass(seconds(3600));
       },
       {"delete s0-1", "delete s1-1"},
       "False DeadlineExceeded stalled"},
      {"CountsThePullOfAnImageTowardsTheDeadline",
       [](W& w) {
         w.spec().timeout = "5m";
         w.round();
         w.pod(kPrepareWork).node = "node-1";
         w.pod(kPrepareWork).waiting_reason = "ImagePullBackOff";
         w.pass(seconds(300));
       },
       {"delete prepare-1"},
       "False DeadlineExceeded stalled"},
      {"CountsTheWaitForASecretTowardsTheDeadline",
       [](W& w) {
         w.spec().timeout = "5m";
         w.seen.missing = {api::Reference{api::Reference::Kind::kSecret, "token", ""}};
         w.round();
         w.pass(seconds(300));
       },
       {},
       "False DeadlineExceeded stalled"},
      {"DoesNotCountTheQueueTowardsTheDeadline",
       [](W& w) {
         w.seen.slot_free = false;
         w.round();
         w.pass(seconds(7200));
         w.seen.slot_free = true;
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"EndsAtTheDeadlineOfAPod",
       [](W& w) {
         w.spec().stage_timeout = "1m";
         w.building();
         w.pass(seconds(60));
       },
       {"delete s0-1", "delete s1-1"},
       "False StageDeadlineExceeded stalled"},
      {"LetsAnImageThatWasPushedCountAfterTheDeadline",
       [](W& w) {
         w.stages_built();
         w.ends(kPublishWork, pushed("sha256:11"));
         w.pass(seconds(9999));
       },
       {},
       "True Succeeded"},
      {"KeepsWhatFailedForATime",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), failed("Failed", "no", 2), 1);
         w.round();
         w.deleted_pods_go();
         w.pass(seconds(3599));
       },
       {},
       "False StepFailed stalled"},
      {"DeletesWhatFailedAfterThatTime",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), failed("Failed", "no", 2), 1);
         w.round();
         w.deleted_pods_go();
         w.pass(seconds(3600));
       },
       {"delete prepare-1", "delete s0-1", "delete claim", "delete record"},
       "False StepFailed stalled"},
      {"KeepsNothingWithATtlOfNothing",
       [](W& w) {
         w.spec().ttl_seconds_after_finished = 0;
         w.round();
         w.ends(kPrepareWork, failed("NotFound", "no"), 1);
         w.round();
       },
       {"delete prepare-1", "delete claim"},
       "False NotFound stalled"},
  };
}

void evict(W& w, const Work& work) {
  Pod& pod = w.pod(work);
  pod.phase = PodPhase::kFailed;
  pod.reason = "Evicted";
  pod.finished = w.seen.now;
}

std::vector<Row> what_is_tried_again() {
  return {
      {"WaitsALittleAfterAnEviction",
       [](W& w) {
         w.building();
         evict(w, stage_work(0));
       },
       {},
       "Unknown Retrying reconciling"},
      {"RepeatsAnEvictedStage",
       [](W& w) {
         w.building();
         evict(w, stage_work(0));
         w.round();
         w.pass(seconds(5));
       },
       {"create s0-2"},
       "Unknown Building reconciling"},
      {"WaitsLongerEachTime",
       [](W& w) {
         w.building();
         evict(w, stage_work(0));
         w.round();
         w.pass(seconds(5));
         w.round();
         w.round();
         evict(w, stage_work(0));
         w.round();
         w.pass(seconds(9));
       },
       {},
       "Unknown Retrying reconciling"},
      {"GivesUpWhenTheRetriesAreUsedUp",
       [](W& w) {
         w.spec().retries = 0;
         w.building();
         evict(w, stage_work(0));
       },
       {"delete s1-1"},
       "False RetriesExhausted stalled"},
      {"RepeatsAPodThatVanished",
       [](W& w) {
         w.building();
         w.vanishes(stage_work(1));
         w.round();
         w.pass(seconds(5));
       },
       {"create s1-2"},
       "Unknown Building reconciling"},
      {"DoesNotMissAPodThatItNeverSaw",
       [](W& w) {
         w.prepared();
         w.vanishes(stage_work(0));
         w.vanishes(stage_work(1));
       },
       {"create s0-1", "create s1-1"},
       "Unknown Building reconciling"},
      {"WaitsUntilADeletedPodIsGone",
       [](W& w) {
         w.building();
         w.pod(stage_work(0)).deletion = w.seen.now + seconds(30);
         w.pass(seconds(31));
       },
       {},
       "Unknown Building reconciling"},
      {"GivesUpAPodOnADeadNode",
       [](W& w) {
         w.building();
         w.pod(stage_work(0)).deletion = w.seen.now + seconds(30);
         w.pass(seconds(90));
         w.round();
         w.pass(seconds(5));
       },
       {"create s0-2"},
       "Unknown Building reconciling"},
      {"RepeatsWhenARegistryFails",
       [](W& w) {
         w.stages_built();
         w.ends(kPublishWork, failed("Unavailable", "503"), 3);
         w.round();
         w.pass(seconds(5));
       },
       {"create publish-2"},
       "Unknown Publishing reconciling"},
      {"RepeatsAContainerKilledFromOutside",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 137);
         w.round();
         w.pass(seconds(5));
       },
       {"create s0-2"},
       "Unknown Building reconciling"},
      {"RepeatsAnInfrastructureExitThatSaidNothing",
       [](W& w) {
         w.building();
         w.exits(stage_work(0), 3);
         w.pod(stage_work(0)).outcome_read = true;
         w.round();
         w.pass(seconds(5));
       },
       {"create s0-2"},
       "Unknown Building reconciling"},
      {"KeepsFinishedStagesWhenTheirPodsVanish",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.round();
         w.vanishes(stage_work(0));
         w.ends(stage_work(1), done());
       },
       {"create s2-1"},
       "Unknown Building reconciling"},
      {"PreparesAgainWhenThePlanIsLost",
       [](W& w) {
         w.prepared();
         w.vanishes(kPrepareWork);
         w.seen.plan.reset();
         w.round();
         w.pass(seconds(5));
       },
       {"create prepare-2"},
       "Unknown Preparing reconciling"},
      {"BeginsAnewWhenTheArtifactClaimIsLost",
       [](W& w) {
         w.building();
         w.seen.claims.clear();
         w.round();
         w.pass(seconds(5));
       },
       {"create prepare-2"},
       "Unknown Preparing reconciling"},
      {"EmptiesAClaimThatIsBeingDeleted",
       [](W& w) {
         w.building();
         w.seen.claims[0].deleting = true;
       },
       {"delete prepare-1", "delete s0-1", "delete s1-1"},
       "Unknown Retrying reconciling"},
  };
}

INSTANTIATE_TEST_SUITE_P(Failures, ReconcileFailure, testing::ValuesIn(what_fails_for_good()), kRowName);
INSTANTIATE_TEST_SUITE_P(Retries, ReconcileFailure, testing::ValuesIn(what_is_tried_again()), kRowName);

}  // namespace
}  // namespace imagebuild::build
