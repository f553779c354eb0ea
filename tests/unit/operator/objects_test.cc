#include "operator/objects.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "base/timestamp.h"
#include "operator/pods/claim.h"
#include "operator/pods/metadata.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;

WallTime at_second(const char* text) {
  return parse_time(text).value();
}

// A pod as the API server gives it back, with `status`.
Json seen(const build::Work& work, const char* status) {
  Json pod = pod_of(sample_build(), work);
  pod["metadata"]["creationTimestamp"] = "2026-01-02T03:04:05Z";
  pod["metadata"]["uid"] = "pod-uid";
  pod["metadata"]["resourceVersion"] = "17";
  pod["metadata"]["managedFields"] = Json::array({{{"manager", "imagebuild"}}});
  pod["spec"]["nodeName"] = "node-1";
  pod["status"] = Json::parse(status);
  return pod;
}

// What every row expects is said of the whole pod and of what an informer keeps of it.
build::Pod read(const Json& pod) {
  const Result<build::Pod> whole = pod_from(pod);
  const Result<build::Pod> kept = pod_from(project_pod(pod));
  if (!whole.ok() || !kept.ok()) {
    ADD_FAILURE() << (whole.ok() ? kept : whole).error().message;
    return {};
  }
  EXPECT_EQ(whole->phase, kept->phase);
  EXPECT_EQ(whole->message, kept->message);
  EXPECT_EQ(whole->told, kept->told);
  EXPECT_EQ(whole->exit_code, kept->exit_code);
  return *kept;
}

TEST(PodFrom, LabelsSayWhichWorkItIs) {
  for (const PodCase& kind : pod_kinds()) {
    const build::Pod pod = read(seen(kind.work, "{}"));
    EXPECT_EQ(pod.work, kind.work) << kind.name;
    EXPECT_EQ(pod.generation, kGeneration);
    EXPECT_EQ(pod.attempt, 1);
    EXPECT_EQ(pod.name, build::pod_name(sample_build(), kGeneration, kind.work, 1));
    EXPECT_EQ(pod.node, "node-1");
    EXPECT_EQ(pod.created, at_second("2026-01-02T03:04:05Z"));
    EXPECT_FALSE(pod.deletion);
    EXPECT_FALSE(pod.outcome_read);
  }
}

TEST(PodFrom, APodThatIsNotOfABuildIsNone) {
  struct Row {
    const char* label;
    const char* value;  // Null: no such label.
  };
  const Row rows[] = {
      {label::kGeneration, nullptr}, {label::kGeneration, "x"}, {label::kGeneration, "-1"},
      {label::kRole, nullptr},       {label::kRole, "other"},   {label::kAttempt, nullptr},
      {label::kAttempt, "1x"},       {label::kStage, nullptr},  {label::kStage, "99999999999"},
  };
  for (const Row& row : rows) {
    Json pod = seen(stage_work(1), "{}");
    Json& labels = pod["metadata"]["labels"];
    if (row.value == nullptr) {
      labels.erase(row.label);
    } else {
      labels[row.label] = row.value;
    }
    const auto result = pod_from(pod);
    ASSERT_FALSE(result.ok()) << row.label;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(result.error().message.find(row.label), std::string::npos) << result.error().message;
  }
  EXPECT_FALSE(pod_from(Json()).ok());
  EXPECT_FALSE(pod_from(Json::array()).ok());
}

struct StatusRow {
  const char* name;
  const char* status;
  std::function<void(const build::Pod&)> expect;
};

TEST(PodFrom, ReadsTheStatus) {
  using build::PodPhase;
  const StatusRow rows[] = {
      {"not seen by any kubelet", "{}", [](const build::Pod& pod) { EXPECT_EQ(pod.phase, PodPhase::kPending); }},
      {"an odd phase", R"({"phase":7})", [](const build::Pod& pod) { EXPECT_EQ(pod.phase, PodPhase::kPending); }},
      {"unknown", R"({"phase":"Unknown"})", [](const build::Pod& pod) { EXPECT_EQ(pod.phase, PodPhase::kUnknown); }},
      {"unschedulable",
       R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable",
          "message":"0/2 nodes are available: 2 Insufficient cpu."}]})",
       [](const build::Pod& pod) { EXPECT_EQ(pod.unschedulable, "0/2 nodes are available: 2 Insufficient cpu."); }},
      {"unschedulable without a word",
       R"({"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable"}]})",
       [](const build::Pod& pod) { EXPECT_FALSE(pod.unschedulable.empty()); }},
      {"held back by a scheduling gate",
       R"({"conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated","message":"x"}]})",
       [](const build::Pod& pod) { EXPECT_EQ(pod.unschedulable, "x"); }},
      {"an error of the scheduler itself",
       R"({"conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulerError","message":"x"}]})",
       [](const build::Pod& pod) { EXPECT_EQ(pod.unschedulable, ""); }},
      {"scheduled",
       R"({"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.unschedulable, "");
         EXPECT_EQ(pod.scheduled, parse_time("2026-01-02T03:04:05Z"));
       }},
      {"waiting",
       R"({"phase":"Pending","containerStatuses":[{"name":"stage","state":{"waiting":{"reason":"ImagePullBackOff",
          "message":"Back-off pulling image"}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.waiting_reason, "ImagePullBackOff");
         EXPECT_EQ(pod.waiting_message, "Back-off pulling image");
       }},
      {"running", R"({"phase":"Running","containerStatuses":[{"name":"stage","state":{"running":{}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.phase, PodPhase::kRunning);
         EXPECT_FALSE(pod.exit_code);
       }},
      {"ended well, and told so",
       R"({"phase":"Succeeded","containerStatuses":[{"name":"stage","state":{"terminated":{"exitCode":0,
          "reason":"Completed","finishedAt":"2026-01-02T03:05:06Z",
          "message":"{\"version\":1,\"step\":2,\"done\":true}"}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.phase, PodPhase::kSucceeded);
         EXPECT_EQ(pod.exit_code, 0);
         EXPECT_EQ(pod.terminated_reason, "Completed");
         EXPECT_EQ(pod.finished, at_second("2026-01-02T03:05:06Z"));
         ASSERT_TRUE(pod.told);
         EXPECT_TRUE(pod.told->done);
         EXPECT_EQ(pod.told->step, 2);
         EXPECT_EQ(pod.message, "");
       }},
      {"out of memory",
       R"({"phase":"Failed","containerStatuses":[{"name":"stage","state":{"terminated":{"exitCode":137,
          "reason":"OOMKilled","finishedAt":"2026-01-02T03:05:06Z"}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.phase, PodPhase::kFailed);
         EXPECT_EQ(pod.exit_code, 137);
         EXPECT_EQ(pod.terminated_reason, "OOMKilled");
         EXPECT_FALSE(pod.told);
       }},
      {"could not start: the runtime says why",
       R"({"phase":"Failed","containerStatuses":[{"name":"stage","state":{"terminated":{"exitCode":128,
          "reason":"StartError","message":"no such file","startedAt":"1970-01-01T00:00:00Z",
          "finishedAt":"2026-01-02T03:05:06Z"}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.message, "no such file");
         EXPECT_FALSE(pod.told);
       }},
      {"evicted before it ran", R"({"phase":"Failed","reason":"Evicted","message":"The node was low on resource"})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.reason, "Evicted");
         EXPECT_EQ(pod.message, "The node was low on resource");
         EXPECT_FALSE(pod.exit_code);
         EXPECT_FALSE(pod.finished);
       }},
      {"nothing is known of its end",
       R"({"phase":"Failed","containerStatuses":[{"name":"stage","state":{"terminated":{"exitCode":137,
          "reason":"ContainerStatusUnknown","message":"The container could not be located","finishedAt":null}}}]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.terminated_reason, "ContainerStatusUnknown");
         EXPECT_FALSE(pod.finished);
       }},
      {"a container that admission put beside ours",
       R"({"phase":"Running","containerStatuses":[
          {"name":"proxy","state":{"terminated":{"exitCode":9}}},{"name":"stage","state":{"running":{}}}]})",
       [](const build::Pod& pod) { EXPECT_FALSE(pod.exit_code); }},
      {"members of the wrong type",
       R"({"phase":"Failed","conditions":{},"containerStatuses":[{"name":"stage","state":{"terminated":{"exitCode":"0",
          "reason":[],"finishedAt":5}}},7]})",
       [](const build::Pod& pod) {
         EXPECT_EQ(pod.phase, PodPhase::kFailed);
         EXPECT_FALSE(pod.exit_code);
         EXPECT_FALSE(pod.finished);
       }},
  };
  for (const StatusRow& row : rows) {
    SCOPED_TRACE(row.name);
    row.expect(read(seen(stage_work(1), row.status)));
  }
}

// A stage's pod whose artifacts go through a registry, with the states of its containers.
Json seen_with_transfers(const char* phase, const std::string& fetch, const std::string& stage,
                         const std::string& store) {
  api::ImageBuild build = sample_build();
  build.spec.artifacts = {api::Transport::kRegistry, {}, "registry.example/team/artifacts"};
  Json pod = pod_of(build, stage_work(kApp));
  pod["status"] = {{"phase", phase}};
  const auto add = [&](const char* list, const char* name, const std::string& state) {
    pod["status"][list].push_back({{"name", name}, {"state", Json::parse(state)}});
  };
  add("initContainerStatuses", "fetch", fetch);
  add("containerStatuses", "store", store);
  add("containerStatuses", "stage", stage);
  return pod;
}

constexpr const char* kRuns = R"({"running":{}})";
constexpr const char* kWaits = R"({"waiting":{"reason":"PodInitializing"}})";
std::string ended(int exit_code, const api::Told& told) {
  return Json{{"terminated", {{"exitCode", exit_code}, {"message", told.json()}}}}.dump();
}
const std::string& well() {
  static const std::string kState = ended(0, api::Told{.step = 2, .done = true, .export_bytes = 7});
  return kState;
}
const std::string& unavailable() {
  static const std::string kState =
      ended(3, api::Told{.failure = api::Failure{.code = "Unavailable", .message = "no registry"}});
  return kState;
}

TEST(PodFrom, AStageIsDoneWhenItsArtifactsAreStored) {
  const build::Pod storing = read(seen_with_transfers("Running", well(), well(), kRuns));
  ASSERT_TRUE(storing.told);
  EXPECT_FALSE(storing.told->done);
  EXPECT_FALSE(storing.told->failure);
  EXPECT_EQ(storing.told->step, 2);
  const build::Pod stored = read(seen_with_transfers("Succeeded", well(), well(), well()));
  ASSERT_TRUE(stored.told);
  EXPECT_TRUE(stored.told->done);
}

TEST(PodFrom, FailuresOfMovingArtifactsAreThePods) {
  const build::Pod store = read(seen_with_transfers("Failed", well(), well(), unavailable()));
  ASSERT_TRUE(store.told && store.told->failure);
  EXPECT_EQ(store.told->failure->message, "no registry");
  EXPECT_EQ(store.told->step, 2);
  EXPECT_EQ(store.exit_code, 3);
  const build::Pod fetch = read(seen_with_transfers("Failed", unavailable(), kWaits, kWaits));
  ASSERT_TRUE(fetch.told && fetch.told->failure);
  EXPECT_EQ(fetch.told->failure->message, "no registry");
  EXPECT_EQ(fetch.exit_code, 3);
}

TEST(PodFrom, AStageThatWasKilledIsReadFromItsOwnContainer) {
  const build::Pod pod =
      read(seen_with_transfers("Failed", well(), R"({"terminated":{"exitCode":137,"reason":"OOMKilled"}})", well()));
  EXPECT_EQ(pod.terminated_reason, "OOMKilled");
  EXPECT_EQ(pod.exit_code, 137);
  EXPECT_FALSE(pod.told);
}

// The container beside it would wait for ever: the build has to fail while the pod runs.
TEST(PodFrom, AStageThatCannotBeStartedHasFailed) {
  const build::Pod pod = read(seen_with_transfers(
      "Running", well(), R"({"terminated":{"exitCode":128,"reason":"StartError","message":"exec format error"}})",
      kRuns));
  ASSERT_TRUE(pod.told && pod.told->failure);
  EXPECT_EQ(pod.told->failure->message, "exec format error");
  EXPECT_EQ(pod.told->failure->exit_code, 128);
}

TEST(PodFrom, WaitsForTheImageOfWhoeverComesFirst) {
  const build::Pod pod = read(seen_with_transfers(
      "Pending", R"({"waiting":{"reason":"ImagePullBackOff","message":"no such image"}})", kWaits, kWaits));
  EXPECT_EQ(pod.waiting_reason, "ImagePullBackOff");
}

TEST(AddReport, OfAStageCountsAsDoneOnlyWhenItsArtifactsAreStored) {
  api::Told heard;
  heard.step = 4;
  heard.done = true;
  const Json running = seen_with_transfers("Running", well(), kRuns, kRuns);
  build::Pod pod = read(running);
  add_report(running, heard, pod);
  ASSERT_TRUE(pod.told);
  EXPECT_FALSE(pod.told->done);
  EXPECT_EQ(pod.told->step, 4);
  const Json failed = project_pod(seen_with_transfers("Failed", well(), well(), unavailable()));
  pod = read(failed);
  add_report(failed, heard, pod);
  ASSERT_TRUE(pod.told && pod.told->failure);
  const Json alone = seen(stage_work(kApp), R"({"phase":"Running"})");
  pod = read(alone);
  add_report(alone, heard, pod);
  ASSERT_TRUE(pod.told);
  EXPECT_TRUE(pod.told->done);
}

TEST(PodFrom, DeletionIsWhenItsGracePeriodEnds) {
  Json pod = seen(kPrepareWork, "{}");
  pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:10:00Z";
  EXPECT_EQ(read(pod).deletion, at_second("2026-01-02T03:10:00Z"));
}

TEST(ProjectPod, KeepsOnlyWhatIsRead) {
  const Json kept = project_pod(seen(stage_work(1), R"({"phase":"Running","podIP":"10.0.0.1",
      "conditions":[{"type":"Ready","status":"True"},{"type":"PodScheduled","status":"True"}],
      "containerStatuses":[{"name":"proxy","state":{}},{"name":"stage","imageID":"x","state":{"running":{}}}]})"));
  EXPECT_EQ(kept.at("status"), Json::parse(R"({"phase":"Running","conditions":[{"type":"PodScheduled","status":"True"}],
      "containerStatuses":[{"name":"stage","state":{"running":{}}}]})"));
  EXPECT_EQ(kept.at("spec"), Json::parse(R"({"nodeName":"node-1"})"));
  EXPECT_FALSE(kept.at("metadata").contains("managedFields"));
  EXPECT_EQ(kube::uid_of(kept), "pod-uid");
  EXPECT_EQ(kube::resource_version_of(kept), "17");
  const auto owner = owner_of(kept);
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->key.str(), "team/app");
}

TEST(ProjectPod, TakesAnythingThatIsNoPod) {
  for (const char* text : {"null", "[]", "7", R"({"metadata":3,"spec":[],"status":"x"})"}) {
    EXPECT_FALSE(pod_from(project_pod(Json::parse(text))).ok()) << text;
  }
}

TEST(ClaimFrom, ReadsTheClaim) {
  struct Row {
    const char* name;
    const char* patch;
    bool deleting, lost;
  };
  const Row rows[] = {
      {"bound", R"({"status":{"phase":"Bound"}})", false, false},
      {"new", "{}", false, false},
      {"lost", R"({"status":{"phase":"Lost"}})", false, true},
      {"deleting", R"({"metadata":{"deletionTimestamp":"2026-01-02T03:10:00Z"}})", true, false},
  };
  for (const Row& row : rows) {
    Json object = make_claim(sample_build(), {"claim", 3});
    object.merge_patch(Json::parse(row.patch));
    for (const Json& seen_object : {object, project_claim(object)}) {
      const auto claim = claim_from(seen_object);
      ASSERT_TRUE(claim.ok()) << row.name;
      EXPECT_EQ(claim->name, "claim") << row.name;
      EXPECT_EQ(claim->generation, 3) << row.name;
      EXPECT_EQ(claim->deleting, row.deleting) << row.name;
      EXPECT_EQ(claim->lost, row.lost) << row.name;
    }
  }
  EXPECT_FALSE(claim_from(Json::parse(R"({"metadata":{"name":"x"}})")).ok());
}

TEST(ProjectBuild, KeepsNextToNothingOfABuildThatAsksForNothing) {
  struct Row {
    const char* name;
    const char* patch;
    bool settled;
  };
  const Row rows[] = {
      {"succeeded", "{}", true},
      {"failed", R"({"status":{"phase":"Failed"}})", true},
      {"cancelled", R"({"status":{"phase":"Cancelled"}})", true},
      {"runs", R"({"status":{"phase":"Building"}})", false},
      {"new", R"({"status":null})", false},
      {"spec changed since", R"({"metadata":{"generation":4}})", false},
      {"never observed", R"({"status":{"observedGeneration":null}})", false},
      {"deleting", R"({"metadata":{"deletionTimestamp":"2026-01-02T03:10:00Z"}})", false},
      {"an older operator called the spec wrong",
       R"({"status":{"conditions":[{"type":"Ready","reason":"InvalidSpec"}]}})", false},
  };
  for (const Row& row : rows) {
    Json object = {{"apiVersion", "imagebuild.dev/v1alpha1"},
                   {"kind", "ImageBuild"},
                   {"metadata",
                    {{"name", "app"},
                     {"namespace", "team"},
                     {"uid", "u-1"},
                     {"resourceVersion", "12"},
                     {"generation", 3},
                     {"managedFields", Json::array({{{"manager", "kubectl"}}})}}},
                   {"spec", {{"output", {{"image", "registry.example/\"app\":1"}}}}},
                   {"status",
                    {{"phase", "Succeeded"},
                     {"observedGeneration", 3},
                     {"conditions", Json::array({{{"type", "Ready"}, {"reason", "Succeeded"}}})}}}};
    object.merge_patch(Json::parse(row.patch));
    const Json kept = project_build(object);
    EXPECT_EQ(is_settled(kept), row.settled) << row.name;
    EXPECT_EQ(kept.contains("spec"), !row.settled) << row.name;
    EXPECT_FALSE(kube::at(kept, {"metadata"}).contains("managedFields")) << row.name;
    for (const std::string& text : {object.dump(), object.dump(2)}) {
      const auto from_text = project_settled(text);
      ASSERT_EQ(from_text.has_value(), row.settled) << row.name;
      if (!from_text) continue;
      EXPECT_TRUE(is_settled(*from_text)) << row.name;
      EXPECT_EQ(kube::key_of(*from_text).str(), "team/app") << row.name;
      EXPECT_EQ(kube::uid_of(*from_text), "u-1") << row.name;
      EXPECT_EQ(kube::resource_version_of(*from_text), "12") << row.name;
    }
  }
  EXPECT_FALSE(is_settled(Json::parse(R"({"metadata":{"name":"settled"}})")));
  for (const char* text : {"", "{", "[]", R"({"metadata":{},"status":{"phase":"Succeeded"}})"}) {
    EXPECT_FALSE(project_settled(text)) << text;
  }
}

TEST(RefusalFrom, SaysWhoCanMendIt) {
  using Kind = build::Refusal::Kind;
  struct Row {
    int status;
    const char* body;
    Kind kind;
  };
  const Row rows[] = {
      {403,
       R"({"kind":"Status","message":"pods \"p\" is forbidden: exceeded quota: small, requested: pods=1","reason":"Forbidden"})",
       Kind::kQuota},
      {403, R"({"kind":"Status","message":"pods \"p\" is forbidden: violates PodSecurity","reason":"Forbidden"})",
       Kind::kForbidden},
      {403, R"({"kind":"Status","message":"forbidden: namespace x is being terminated","reason":"Forbidden",
          "details":{"causes":[{"reason":"NamespaceTerminating"}]}})",
       Kind::kUnavailable},
      {401, R"({"kind":"Status","message":"Unauthorized","reason":"Unauthorized"})", Kind::kForbidden},
      {422, R"({"kind":"Status","message":"Pod \"p\" is invalid","reason":"Invalid"})", Kind::kInvalid},
      {400, R"({"kind":"Status","message":"cannot unmarshal","reason":"BadRequest"})", Kind::kInvalid},
      {413, "too large", Kind::kInvalid},
      {404, R"({"kind":"Status","message":"namespaces \"x\" not found","reason":"NotFound"})", Kind::kUnavailable},
      {429, "", Kind::kUnavailable},
      {500, R"({"kind":"Status","message":"failed calling webhook","reason":"InternalError"})", Kind::kUnavailable},
  };
  for (const Row& row : rows) {
    const kube::ApiError error = kube::error_from_answer(row.status, row.body, "create pods team/p");
    const build::Refusal refusal = refusal_from("p", error);
    EXPECT_EQ(refusal.kind, row.kind) << row.status << row.body;
    EXPECT_EQ(refusal.object, "p");
    EXPECT_EQ(refusal.message, error.message);
  }
  EXPECT_EQ(refusal_from("p", Error{ErrorCode::kUnavailable, "no connection"}).kind, Kind::kUnavailable);
}

}  // namespace
}  // namespace imagebuild::op
