#include "build/reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "unit/build/reconcile_world.h"

namespace imagebuild::build {
namespace {

using Words = std::vector<std::string>;
using W = World;

// What happens, what the next decision does (events aside), and what Ready then says.
struct Row {
  const char* name;
  std::function<void(W&)> story;
  Words does;
  const char* ready;
};

class Reconcile : public testing::TestWithParam<Row> {};

TEST_P(Reconcile, Does) {
  World world;
  GetParam().story(world);
  world.decide();
  EXPECT_EQ(world.does(), GetParam().does);
  EXPECT_EQ(world.ready(), GetParam().ready);
  // Deciding again from the same objects says the same and tells nothing twice.
  const std::string status = api::status_json(world.status());
  const Words first = world.does();
  world.decide();
  EXPECT_EQ(api::status_json(world.status()), status);
  EXPECT_THAT(world.events(), testing::IsEmpty());
}

api::Reference missing(api::Reference::Kind kind, const char* name, const char* key = "") {
  return {kind, name, key};
}

void refuse(W& w, Refusal::Kind kind) {
  w.decide();
  w.seen.refusals = {{pod_name(w.seen.build, 1, kPrepareWork, 1), kind, "said the server"}};
}

std::vector<Row> the_normal_way() {
  return {
      {"StartsWithAClaimAndPrepare", [](W&) {}, {"claim", "create prepare-1"}, "Unknown Preparing reconciling"},
      {"MakesNothingTwice", [](W& w) { w.round(); }, {}, "Unknown Preparing reconciling"},
      {"MakesThePodWhenTheClaimHasAVolumeWhereThatComesAtOnce",
       [](W& w) { w.seen.claim_binds_at_once = true; },
       {"claim"},
       "Unknown Preparing reconciling"},
      {"WaitsForTheVolumeOfTheClaim",
       [](W& w) {
         w.seen.claim_binds_at_once = true;
         w.round();
         w.pass(seconds(1));
       },
       {},
       "Unknown Preparing reconciling"},
      {"MakesThePodOnceTheClaimHasItsVolume",
       [](W& w) {
         w.seen.claim_binds_at_once = true;
         w.round();
         w.seen.claims.front().bound = true;
       },
       {"create prepare-1"},
       "Unknown Preparing reconciling"},
      {"LetsTheSchedulerSayWhyAVolumeDoesNotCome",
       [](W& w) {
         w.seen.claim_binds_at_once = true;
         w.round();
         w.pass(kVolumePatience);
       },
       {"create prepare-1"},
       "Unknown Preparing reconciling"},
      {"WaitsForNoVolumeWithoutAClaim",
       [](W& w) {
         w.seen.claim_binds_at_once = true;
         w.spec().artifacts = {.transport = api::Transport::kRegistry, .repository = "r.example/c"};
       },
       {"create prepare-1"},
       "Unknown Preparing reconciling"},
      {"MakesNoClaimForTheRegistryTransport",
       [](W& w) { w.spec().artifacts = {.transport = api::Transport::kRegistry, .repository = "r.example/c"}; },
       {"create prepare-1"},
       "Unknown Preparing reconciling"},
      {"RecordsThePlanAndStartsIndependentStagesTogether",
       [](W& w) {
         w.round();
         w.seen.plan = four_stages();
         w.ends(kPrepareWork, done());
       },
       {"create s0-1", "create s1-1", "record"},
       "Unknown Building reconciling"},
      {"StartsStagesAsSoonAsPrepareTellsBeforeItsPodEnds",
       [](W& w) {
         w.round();
         w.runs(kPrepareWork);
         w.seen.plan = four_stages();
         w.pod(kPrepareWork).told = done();
       },
       {"create s0-1", "create s1-1", "record"},
       "Unknown Building reconciling"},
      {"WaitsForEveryNeed",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
       },
       {},
       "Unknown Building reconciling"},
      {"StartsAStageWhenItsNeedsAreDone",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.ends(stage_work(1), done());
       },
       {"create s2-1"},
       "Unknown Building reconciling"},
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
      {"PublishesWhenThePodsAreDoneAndComputesTheRestThere",
       [](W& w) {
         w.building();
         w.ends(stage_work(0), done());
         w.ends(stage_work(1), done());
         w.round();
         w.ends(stage_work(2), done());
       },
       {"create publish-1"},
       "Unknown Publishing reconciling"},
      {"SucceedsWhenTheImageIsPushed",
       [](W& w) {
         w.stages_built();
         w.ends(kPublishWork, pushed("sha256:11"));
       },
       {},
       "True Succeeded"},
      {"CleansUpOnceTheEndIsWritten",
       [](W& w) { w.built(); },
       {"delete prepare-1", "delete s0-1", "delete s1-1", "delete s2-1", "delete publish-1", "delete claim",
        "delete record"},
       "True Succeeded"},
      {"DoesNothingForTheSameSpec",
       [](W& w) {
         w.built();
         w.round();
         w.deleted_pods_go();
       },
       {},
       "True Succeeded"},
      {"RunsNoPodForCachedStages",
       [](W& w) {
         w.round();
         w.seen.plan = four_stages();
         api::Told told = done();
         told.cached = {0, 1, 2};
         w.ends(kPrepareWork, told);
       },
       {"create publish-1", "record"},
       "Unknown Publishing reconciling"},
      {"SucceedsWithoutAPublishPodWhenPrepareFindsTheImageInItsPlace",
       [](W& w) {
         w.round();
         w.seen.plan = four_stages();
         api::Told told = pushed("sha256:11");
         told.cached = {0, 1, 2, 3};
         w.ends(kPrepareWork, told);
       },
       {},
       "True Succeeded"},
      {"AsksForThePlanBeforeItBelievesAnImageOfPrepare",
       [](W& w) {
         w.round();
         w.ends(kPrepareWork, pushed("sha256:11"));
       },
       {"read prepare-1"},
       "Unknown Preparing reconciling"},
      {"DoesNothingWhileTheObjectIsBeingDeleted",
       [](W& w) {
         w.building();
         w.seen.build.deleting = true;
       },
       {},
       "Unknown Building reconciling"},
      {"QueuesBeyondTheConcurrencyLimit", [](W& w) { w.seen.slot_free = false; }, {}, "Unknown Queued reconciling"},
      {"KeepsTheSlotItHas",
       [](W& w) {
         w.round();
         w.seen.slot_free = false;
         w.seen.pods.clear();
         w.seen.build.status.prepare = {};
       },
       {"create prepare-1"},
       "Unknown Preparing reconciling"},
  };
}

std::vector<Row> what_it_waits_for() {
  using Kind = api::Reference::Kind;
  return {
      {"WaitsForASecret",
       [](W& w) { w.seen.missing = {missing(Kind::kSecret, "token")}; },
       {},
       "Unknown MissingSecret reconciling"},
      {"WaitsForAKeyOfASecret",
       [](W& w) { w.seen.missing = {missing(Kind::kSecret, "token", "k")}; },
       {},
       "Unknown MissingSecret reconciling"},
      {"WaitsForAConfigMap",
       [](W& w) { w.seen.missing = {missing(Kind::kConfigMap, "ctx")}; },
       {},
       "Unknown MissingConfigMap reconciling"},
      {"WaitsForTheSourcesClaim",
       [](W& w) { w.seen.missing = {missing(Kind::kClaim, "src")}; },
       {},
       "Unknown MissingClaim reconciling"},
      {"WaitsForAStorageClass",
       [](W& w) { w.seen.missing = {missing(Kind::kStorageClass, "fast")}; },
       {},
       "Unknown MissingStorageClass reconciling"},
      {"GoesOnWhenWhatWasMissingIsThere",
       [](W& w) {
         w.seen.missing = {missing(Kind::kSecret, "token")};
         w.round();
         w.seen.missing.clear();
       },
       {"claim", "create prepare-1"},
       "Unknown Preparing reconciling"},
      {"NamesAUsedUpQuotaAndAsksAgain",
       [](W& w) { refuse(w, Refusal::Kind::kQuota); },
       {"claim", "create prepare-1"},
       "Unknown Quota reconciling"},
      {"NamesAPolicyThatForbids",
       [](W& w) { refuse(w, Refusal::Kind::kForbidden); },
       {"claim", "create prepare-1"},
       "Unknown Forbidden reconciling"},
      {"NamesAServerThatDoesNotAnswer",
       [](W& w) { refuse(w, Refusal::Kind::kUnavailable); },
       {"claim", "create prepare-1"},
       "Unknown ServerUnavailable reconciling"},
      {"EndsWhenThePodIsInvalid", [](W& w) { refuse(w, Refusal::Kind::kInvalid); }, {}, "False InvalidPod stalled"},
      {"ForgetsARefusalOfWhatIsThereNow",
       [](W& w) {
         refuse(w, Refusal::Kind::kQuota);
         w.round();
       },
       {},
       "Unknown Preparing reconciling"},
      {"NamesAPodThatNoNodeTakes",
       [](W& w) {
         w.round();
         w.pod(kPrepareWork).unschedulable = "0/1 nodes are available";
         w.pass(kSchedulingPatience);
       },
       {},
       "Unknown Unschedulable reconciling"},
      {"GivesANewPodAMomentToBeScheduled",
       [](W& w) {
         w.round();
         w.pod(kPrepareWork).unschedulable = "pod has unbound immediate PersistentVolumeClaims";
       },
       {},
       "Unknown Preparing reconciling"},
      {"NamesAnImageThatCannotBePulled",
       [](W& w) {
         w.prepared();
         w.round();
         w.pod(stage_work(1)).waiting_reason = "ImagePullBackOff";
       },
       {},
       "Unknown ImagePull reconciling"},
      {"NamesAContainerThatCannotBeMade",
       [](W& w) {
         w.round();
         w.pod(kPrepareWork).waiting_reason = "CreateContainerConfigError";
       },
       {},
       "Unknown ContainerConfig reconciling"},
      {"GoesOnWhenThePullHeals",
       [](W& w) {
         w.prepared();
         w.pod(stage_work(1)).waiting_reason = "ErrImagePull";
         w.round();
         w.pod(stage_work(1)).waiting_reason = "";
         w.runs(stage_work(1));
       },
       {},
       "Unknown Building reconciling"},
  };
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
      {"CountsPendingTimeTowardsTheDeadline",
       [](W& w) {
         w.spec().timeout = "5m";
         w.round();
         w.pod(kPrepareWork).unschedulable = "no node";
         w.pass(seconds(300));
       },
       {"delete prepare-1"},
       "False DeadlineExceeded stalled"},
      {"CountsTheWaitForASecretTowardsTheDeadline",
       [](W& w) {
         w.spec().timeout = "5m";
         w.seen.missing = {missing(api::Reference::Kind::kSecret, "token")};
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

const auto kRowName = [](const auto& row) { return std::string(row.param.name); };
INSTANTIATE_TEST_SUITE_P(TheNormalWay, Reconcile, testing::ValuesIn(the_normal_way()), kRowName);
INSTANTIATE_TEST_SUITE_P(Waiting, Reconcile, testing::ValuesIn(what_it_waits_for()), kRowName);
INSTANTIATE_TEST_SUITE_P(Failures, Reconcile, testing::ValuesIn(what_fails_for_good()), kRowName);
INSTANTIATE_TEST_SUITE_P(Retries, Reconcile, testing::ValuesIn(what_is_tried_again()), kRowName);
INSTANTIATE_TEST_SUITE_P(Changes, Reconcile, testing::ValuesIn(what_the_user_changes()), kRowName);

}  // namespace
}  // namespace imagebuild::build
