#include "operator/controller.h"

#include <algorithm>

#include "api/job.h"
#include "api/reasons.h"
#include "unit/operator/cluster_fixture.h"

namespace imagebuild::op {
namespace {

using api::BuildPhase;
namespace reason = api::reason;

class ControllerTest : public ClusterFixture {
 protected:
  void start(std::size_t concurrency = 0, std::chrono::milliseconds status_pace = {}) {
    op = std::make_unique<OneOperator>(api.url(), concurrency, status_pace);
  }
  void TearDown() override { op.reset(); }

  bool until_pod(const api::ImageBuild& build, const build::Work& work, int attempt = 1) {
    return op->work_until([&] { return has_pod(build, work, attempt); });
  }
  bool until_phase(const api::ImageBuild& build, BuildPhase phase) {
    return op->work_until([&] { return has_phase(build, phase); });
  }
  std::string ready_reason(const api::ImageBuild& build) const {
    const api::ImageBuildStatus status = now(build).status;
    const api::Condition* ready = api::find_condition(status, api::kReadyCondition);
    return ready == nullptr ? "" : ready->reason;
  }
  // Up to the stage's pod.
  void prepare(const api::ImageBuild& build) {
    ASSERT_TRUE(until_pod(build, kPrepareWork));
    ASSERT_EQ(op->report(build, pod_name(build, kPrepareWork), prepared()), 204);
    ASSERT_TRUE(until_pod(build, stage_work(0)));
  }

  // From the stage's pod up to the last report.
  void publish(const api::ImageBuild& build) {
    op->report(build, pod_name(build, stage_work(0)), {.step = 0, .done = true});
    ASSERT_TRUE(until_pod(build, kPublishWork));
    op->report(build, pod_name(build, kPublishWork), pushed());
  }
  // A pod that told its end is given a moment to end by itself before it is deleted.
  bool until_cleaned_up(const api::ImageBuild& build) {
    if (!until_phase(build, BuildPhase::kSucceeded)) return false;
    op->pass(std::chrono::seconds(11));  // Times in a status are whole seconds.
    return op->work_until([&] { return left_nothing(); });
  }
  bool left_nothing() const {
    return api.all(kube::pods(), "team").empty() && api.all(claims(), "team").empty() &&
           api.all(config_maps(), "team").empty();
  }

  std::unique_ptr<OneOperator> op;
};

TEST_F(ControllerTest, BuildsAnImageAndCleansUp) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  EXPECT_EQ(api.all(claims(), "team").size(), 1U);
  const auto record = api.find(config_maps(), {"team", build::record_name(build, build.generation)});
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->at("binaryData").contains(api::job::kBuildKey));
  EXPECT_TRUE(record->at("binaryData").contains(api::job::kPlanKey));

  publish(build);
  ASSERT_TRUE(until_cleaned_up(build));
  const api::ImageBuildStatus status = now(build).status;
  EXPECT_EQ(status.image.digest, pushed().image->digest);
  EXPECT_EQ(ready_reason(build), reason::kSucceeded);
  EXPECT_NE(
      op->metrics.text().find(R"(imagebuild_builds_total{namespace="team",reason="Succeeded",result="succeeded"} 1)"),
      std::string::npos);
}

TEST_F(ControllerTest, WritesNoStatusForAPodThatItMakesAheadOfItsTime) {
  const api::ImageBuild build = put_build();
  start(0, std::chrono::hours(1));
  prepare(build);
  kube::Json stage = *api.find(kube::pods(), {"team", pod_name(build, stage_work(0))});
  stage["spec"]["nodeName"] = "node-1";
  const std::string before = now(build).resource_version;
  api.put(kube::pods(), stage);
  ASSERT_TRUE(until_pod(build, kPublishWork));
  EXPECT_EQ(now(build).resource_version, before);
  op->report(build, pod_name(build, stage_work(0)), {.step = 0, .done = true});
  ASSERT_TRUE(until_phase(build, BuildPhase::kPublishing));
  EXPECT_EQ(now(build).status.stages.at(0).work.node, "node-1");
}

TEST_F(ControllerTest, DeletesTheRecordOnce) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  publish(build);
  ASSERT_TRUE(until_cleaned_up(build));
  const std::vector<fakes::ApiRequest> all = api.requests();
  EXPECT_EQ(std::ranges::count_if(all,
                                  [](const fakes::ApiRequest& request) {
                                    return request.method == "DELETE" &&
                                           request.path.find("/configmaps/") != std::string::npos;
                                  }),
            1);
}

TEST_F(ControllerTest, EndsTheBuildWithoutAnyReport) {
  const api::ImageBuild build = put_build();
  start();
  ASSERT_TRUE(until_pod(build, kPrepareWork));
  const std::string prepare = pod_name(build, kPrepareWork), publish = pod_name(build, kPublishWork);
  api.set_log({"team", prepare}, "", "fetching\n" + (api::job::kToldPrefix + prepared().json()) + "\n");
  set_status(build, prepare, ended(0));
  ASSERT_TRUE(until_pod(build, stage_work(0)));
  set_status(build, pod_name(build, stage_work(0)), ended(0));
  ASSERT_TRUE(until_pod(build, kPublishWork));
  api.set_log({"team", publish}, "", api::job::kToldPrefix + pushed().json() + "\n");
  set_status(build, publish, ended(0));
  ASSERT_TRUE(until_phase(build, BuildPhase::kSucceeded));
  EXPECT_EQ(now(build).status.image.digest, pushed().image->digest);
}

TEST_F(ControllerTest, GoesOnWhereAnotherProcessStopped) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  ASSERT_TRUE(op->work_until([&] {
    const auto record = api.find(config_maps(), {"team", build::record_name(build, build.generation)});
    return record && !planned_by(*record).empty();
  }));
  start();  // The plan is now only in the record.
  set_status(build, pod_name(build, stage_work(0)), ended(0));
  ASSERT_TRUE(until_pod(build, kPublishWork));
  EXPECT_FALSE(has_pod(build, kPrepareWork, 2));
  EXPECT_FALSE(has_pod(build, stage_work(0), 2));
}

TEST_F(ControllerTest, NamesAStepThatFailed) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  const api::Failure failure{.stage = "deps",
                             .step = 0,
                             .at = {2, 1},
                             .code = "Failed",
                             .exit_code = 7,
                             .message = "the command ended with exit status 7",
                             .log_tail = {"no such package"}};
  set_status(build, pod_name(build, stage_work(0)), ended(1, api::Told{.step = 0, .failure = failure}.json()));
  ASSERT_TRUE(until_phase(build, BuildPhase::kFailed));
  const auto status = now(build).status;
  ASSERT_TRUE(status.failure);
  EXPECT_EQ(status.failure->stage, "deps");
  EXPECT_EQ(status.failure->line, 2);
  EXPECT_EQ(status.failure->exit_code, 7);
  EXPECT_EQ(status.failure->log_tail, failure.log_tail);
  EXPECT_EQ(ready_reason(build), reason::kStepFailed);
}

TEST_F(ControllerTest, MakesTheFirstPodWhenTheClaimHasItsVolume) {
  put_storage_class("Immediate");
  const api::ImageBuild build = put_build();
  start();
  ASSERT_TRUE(op->work_until([&] { return !api.all(claims(), "team").empty(); }));
  EXPECT_TRUE(api.all(kube::pods(), "team").empty());
  kube::Json claim = api.all(claims(), "team").front();
  claim["status"] = {{"phase", "Bound"}};
  api.put(claims(), claim);
  EXPECT_TRUE(until_pod(build, kPrepareWork));
}

TEST_F(ControllerTest, APodAheadOfItsTimeThatIsRefusedIsNoNews) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  const int before = api.count("POST", "/pods");
  api.inject({.method = "POST", .path_contains = "/pods", .times = 1, .status = 403, .reason = "Forbidden"});
  kube::Json stage = *api.find(kube::pods(), {"team", pod_name(build, stage_work(0))});
  stage["spec"]["nodeName"] = "node-1";
  api.put(kube::pods(), stage);
  ASSERT_TRUE(op->work_until([&] { return api.count("POST", "/pods") == before + 1; }));
  EXPECT_EQ(ready_reason(build), reason::kBuilding);
  EXPECT_FALSE(has_pod(build, kPublishWork));
  op->report(build, pod_name(build, stage_work(0)), {.step = 0, .done = true});
  EXPECT_TRUE(until_pod(build, kPublishWork));
  EXPECT_NE(ready_reason(build), reason::kForbidden);
}

TEST_F(ControllerTest, StartsNothingForASpecThatIsWrong) {
  const api::ImageBuild build = put_build("app", [](kube::Json& spec) { spec["output"]["image"] = "Not An Image"; });
  start();
  ASSERT_TRUE(until_phase(build, BuildPhase::kFailed));
  EXPECT_EQ(ready_reason(build), reason::kInvalidSpec);
  EXPECT_TRUE(api.all(kube::pods(), "team").empty());
  EXPECT_TRUE(api.all(claims(), "team").empty());
}

TEST_F(ControllerTest, WaitsForASecretAndGoesOnWhenItIsThere) {
  const api::ImageBuild build = put_build("app", [](kube::Json& spec) {
    spec["imagePullSecrets"] = {{{"name", "login"}}};
  });
  start();
  ASSERT_TRUE(op->work_until([&] { return ready_reason(build) == reason::kMissingSecret; }));
  EXPECT_TRUE(api.all(kube::pods(), "team").empty());
  api.put(secrets(),
          {{"metadata", {{"namespace", "team"}, {"name", "login"}}}, {"data", {{".dockerconfigjson", "e30="}}}});
  kube::Json touched = *api.find(image_builds(), {"team", "app"});
  touched["metadata"]["labels"]["touched"] = "yes";  // Instead of waiting until it looks again by itself.
  api.put(image_builds(), touched);
  ASSERT_TRUE(until_pod(build, kPrepareWork));
}

TEST_F(ControllerTest, SaysThatAQuotaRefusesAPod) {
  api.inject({.method = "POST", .path_contains = "/pods", .times = 1, .status = 403, .reason = "Forbidden"});
  const api::ImageBuild build = put_build();
  start();
  ASSERT_TRUE(op->work_until([&] { return ready_reason(build) == reason::kForbidden; }));
  op->pass(std::chrono::seconds(1));
  ASSERT_TRUE(until_pod(build, kPrepareWork)) << "it is tried again after a while";
  ASSERT_TRUE(op->work_until([&] { return ready_reason(build) == reason::kPreparing; }));
}

TEST_F(ControllerTest, WritesTheStatusBeforeItActs) {
  api.inject({.method = "PUT", .path_contains = "/status", .times = 1, .status = 409, .reason = "Conflict"});
  const api::ImageBuild build = put_build();
  start();
  ASSERT_TRUE(op->work_until([&] { return api.count("PUT", "/status") == 1; }));
  EXPECT_TRUE(api.all(kube::pods(), "team").empty());
  ASSERT_TRUE(until_pod(build, kPrepareWork));
}

TEST_F(ControllerTest, LetsNoMoreBuildsStartThanItMay) {
  const api::ImageBuild first = put_build("first"), second = put_build("second");
  start(1);
  ASSERT_TRUE(op->work_until([&] {
    return (has_pod(first, kPrepareWork) && ready_reason(second) == reason::kQueued) ||
           (has_pod(second, kPrepareWork) && ready_reason(first) == reason::kQueued);
  }));
  const bool first_runs = has_pod(first, kPrepareWork);
  const api::ImageBuild& running = first_runs ? first : second;
  const api::ImageBuild& waiting = first_runs ? second : first;
  api.remove(image_builds(), {"team", running.name});
  ASSERT_TRUE(until_pod(waiting, kPrepareWork));
}

TEST_F(ControllerTest, GivesTheSlotOfABuildBackThatWasReplacedByAnotherOfItsName) {
  const api::ImageBuild first = put_build("app");
  start(1);
  ASSERT_TRUE(until_pod(first, kPrepareWork));
  api.remove(image_builds(), {"team", "app"});
  const api::ImageBuild second = put_build("app");
  ASSERT_NE(first.uid, second.uid);
  ASSERT_TRUE(until_pod(second, kPrepareWork));
}

TEST_F(ControllerTest, MakesEachObjectOnceAndMeetsNoConflict) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  publish(build);
  ASSERT_TRUE(until_cleaned_up(build));
  EXPECT_EQ(api.count("POST", "/pods"), 3);
  EXPECT_EQ(api.count("POST", "/persistentvolumeclaims"), 1);
  EXPECT_EQ(api.count("POST", "/configmaps"), 1);
  EXPECT_EQ(api.count("PUT", "/configmaps"), 0);
  for (const fakes::ApiRequest& request : api.requests()) EXPECT_NE(request.status, 409) << request.path;
}

TEST_F(ControllerTest, NeedsFewRequestsUpToTheFirstPod) {
  start();
  const api::ImageBuild first = put_build("first");
  ASSERT_TRUE(until_pod(first, kPrepareWork));  // From here on, what it refers to is known.
  const auto before = api.requests().size();
  const api::ImageBuild second = put_build("second");
  ASSERT_TRUE(until_pod(second, kPrepareWork));
  int asked = 0;
  const std::vector<fakes::ApiRequest> requests = api.requests();
  for (std::size_t i = before; i < requests.size(); ++i) {
    const bool first_of_it = requests[i].body.find("\"second") != std::string::npos || requests[i].method == "GET";
    asked += first_of_it ? 1 : 0;
    if (first_of_it && requests[i].path.ends_with("/pods")) break;
  }
  EXPECT_EQ(asked, 3) << "the status, the claim, the pod";
}

TEST_F(ControllerTest, TellsProgressInOneStatusInsteadOfSeveral) {
  const api::ImageBuild build = put_build();
  op = std::make_unique<OneOperator>(api.url(), 0, std::chrono::hours(1));
  ASSERT_TRUE(until_pod(build, kPrepareWork));
  set_status(build, pod_name(build, kPrepareWork), {{"phase", "Running"}});
  ASSERT_EQ(op->report(build, pod_name(build, kPrepareWork), prepared()), 204);
  ASSERT_TRUE(until_pod(build, stage_work(0)));
  publish(build);
  ASSERT_TRUE(until_phase(build, BuildPhase::kSucceeded));
  EXPECT_EQ(api.count("PUT", "/status"), 4) << "one when each pod is made, and one at the end";
  EXPECT_EQ(now(build).status.stages.at(0).work.phase, api::WorkPhase::kSucceeded);
}

TEST_F(ControllerTest, TellsAtOnceWhatIsWorthAnEvent) {
  const api::ImageBuild build = put_build();
  op = std::make_unique<OneOperator>(api.url(), 0, std::chrono::hours(1));
  prepare(build);
  set_status(build, pod_name(build, stage_work(0)), {{"phase", "Running"}});
  ASSERT_TRUE(op->work_until([&] {
    const auto stages = now(build).status.stages;
    return !stages.empty() && stages[0].work.phase == api::WorkPhase::kRunning;
  }));
}

TEST_F(ControllerTest, ReadsNothingOfABuildThatEndedAndLeftNothing) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  publish(build);
  ASSERT_TRUE(until_cleaned_up(build));
  const int read = api.count("GET", "/imagebuilds/");
  start();  // Another process, which meets the build when it has ended.
  const api::ImageBuild next = put_build("next");
  ASSERT_TRUE(until_pod(next, kPrepareWork));
  EXPECT_EQ(api.count("GET", "/imagebuilds/"), read);

  kube::Json changed = *api.find(image_builds(), {"team", "app"});
  changed["spec"]["output"]["image"] = "registry.example/team/app:2";
  changed["metadata"]["generation"] = build.generation + 1;
  api.put(image_builds(), changed);
  ASSERT_TRUE(op->work_until([&] { return now(build).status.build.generation == build.generation + 1; }));
  ASSERT_TRUE(until_pod(build, kPrepareWork));
}

TEST_F(ControllerTest, CleansUpAfterABuildThatEndedBeforeThisProcessBegan) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  publish(build);
  ASSERT_TRUE(until_phase(build, BuildPhase::kSucceeded));
  ASSERT_FALSE(api.all(claims(), "team").empty());
  start();
  ASSERT_TRUE(
      op->work_until([&] { return api.all(claims(), "team").empty() && api.all(config_maps(), "team").empty(); }));
}

TEST_F(ControllerTest, NeverWritesTheSpec) {
  const api::ImageBuild build = put_build();
  start();
  prepare(build);
  for (const fakes::ApiRequest& request : api.requests()) {
    const bool writes = request.method != "GET" && request.path.find("/imagebuilds/") != std::string::npos;
    EXPECT_TRUE(!writes || request.path.ends_with("/status")) << request.method << " " << request.path;
  }
}

}  // namespace
}  // namespace imagebuild::op
