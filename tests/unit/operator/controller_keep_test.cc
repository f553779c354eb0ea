// What is done for a build that has ended badly: its status tells it, then a pod keeps its results, then all of it
// goes.
#include "api/reasons.h"
#include "operator/controller.h"
#include "unit/operator/cluster_fixture.h"

namespace imagebuild::op {
namespace {

using api::BuildPhase;

class ControllerKeepTest : public ClusterFixture {
 protected:
  // Its only stage fails in the second step.
  api::ImageBuild failed_build(const kube::Json& cache) {
    const api::ImageBuild build = put_build("app", [&](kube::Json& spec) {
      spec["cache"] = cache;
      spec["ttlSecondsAfterFinished"] = 0;
    });
    if (cache.contains("persistentVolumeClaim")) {
      api.put(claims(), {{"metadata", {{"namespace", "team"}, {"name", "results"}}}});
    }
    op = std::make_unique<OneOperator>(api.url(), 1);
    EXPECT_TRUE(op->work_until([&] { return has_pod(build, kPrepareWork); }));
    api::Told told = prepared();
    api::Plan plan = small_plan();
    plan.stages[0].steps.insert(plan.stages[0].steps.begin(), plan.stages[0].steps[0]);
    told.plan_json = plan.json();
    EXPECT_EQ(op->report(build, pod_name(build, kPrepareWork), told), 204);
    EXPECT_TRUE(op->work_until([&] { return has_pod(build, stage_work(0)); }));
    set_status(build, pod_name(build, kPrepareWork), ended(0));
    const api::Failure failure{.stage = "deps", .step = 1, .code = "Failed", .exit_code = 7, .message = "it failed"};
    set_status(build, pod_name(build, stage_work(0)), ended(1, api::Told{.step = 1, .failure = failure}.json()));
    EXPECT_TRUE(op->work_until([&] { return has_phase(build, BuildPhase::kFailed); }));
    return build;
  }
  std::size_t own_claims() const {
    std::size_t count = 0;
    for (const kube::Json& claim : api.all(claims(), "team")) count += kube::key_of(claim).name != "results" ? 1 : 0;
    return count;
  }

  std::unique_ptr<OneOperator> op;
};

TEST_F(ControllerKeepTest, KeepsTheResultsOfABuildThatFailedAndThenCleansUp) {
  const api::ImageBuild build = failed_build({{"persistentVolumeClaim", {{"claimName", "results"}}}});
  ASSERT_TRUE(op->work_until([&] { return has_pod(build, kKeepWork); }));
  EXPECT_TRUE(has_phase(build, BuildPhase::kFailed));
  EXPECT_EQ(own_claims(), 1U);
  const std::string pod = pod_name(build, kKeepWork);
  const kube::Json keeping = *api.find(kube::pods(), {"team", pod});
  const kube::Json& command = container_of(keeping).at("command");
  EXPECT_EQ(command.at(1), "keep");
  EXPECT_EQ(command.back(), "0");

  kube::Json status = ended(0);
  status["containerStatuses"][0]["name"] = "keep";
  set_status(build, pod, status);
  ASSERT_TRUE(op->work_until([&] { return api.all(kube::pods(), "team").empty() && own_claims() == 0; }));
  EXPECT_EQ(api.count("POST", "/pods"), 3) << "prepare, the stage, and one that keeps";
}

TEST_F(ControllerKeepTest, DoesNothingOfTheKindWithoutACache) {
  failed_build(kube::Json::object());
  ASSERT_TRUE(op->work_until([&] { return api.all(kube::pods(), "team").empty() && own_claims() == 0; }));
  EXPECT_EQ(api.count("POST", "/pods"), 2);
}

}  // namespace
}  // namespace imagebuild::op
