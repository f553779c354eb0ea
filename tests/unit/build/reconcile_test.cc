#include "build/reconcile.h"

#include "unit/build/reconcile_row.h"

namespace imagebuild::build {
namespace {

class Reconcile : public testing::TestWithParam<Row> {};

TEST_P(Reconcile, Does) {
  expect_decision(GetParam());
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

api::Reference missing(api::Reference::Kind kind, const char* name, const char* key = "") {
  return {kind, name, key};
}

void refuse(W& w, Refusal::Kind kind) {
  w.decide();
  w.seen.refusals = {{pod_name(w.seen.build, 1, kPrepareWork, 1), kind, "said the server"}};
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

INSTANTIATE_TEST_SUITE_P(TheNormalWay, Reconcile, testing::ValuesIn(the_normal_way()), kRowName);
INSTANTIATE_TEST_SUITE_P(Waiting, Reconcile, testing::ValuesIn(what_it_waits_for()), kRowName);

}  // namespace
}  // namespace imagebuild::build
