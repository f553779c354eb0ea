#include "build/cluster_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace imagebuild::build {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

api::Step run(const std::function<void(api::RunStep&)>& change = {}) {
  api::RunStep step{.argv = {"true"}, .working_dir = "/"};
  if (change) change(step);
  return {.at = {7, 3}, .text = "RUN true", .action = step};
}

// Two stages that run something, and a computed one.
api::Plan plan() {
  api::Plan result;
  result.dockerfile = "Dockerfile";
  for (const char* name : {"one", "two", "image"}) {
    api::PlanStage stage{
        .name = name, .at = {static_cast<int>(2 + result.stages.size()), 1}, .platform = "linux/amd64"};
    stage.needs_container = std::string(name) != "image";
    if (stage.needs_container) stage.steps = {run()};
    result.stages.push_back(stage);
  }
  return result;
}

api::ImageBuildSpec many_nodes() {
  api::ImageBuildSpec spec;
  spec.artifacts.volume.access_modes = {"ReadWriteMany"};
  return spec;
}

struct Row {
  const char* name;
  std::function<void(api::Plan&, api::ImageBuildSpec&)> change;
  const char* reason;  // Empty: it fits.
  const char* stage;
  std::vector<std::string> says;
};

class ClusterFit : public testing::TestWithParam<Row> {};

TEST_P(ClusterFit, SaysWhereAndWhatToDo) {
  api::Plan subject = plan();
  api::ImageBuildSpec spec = many_nodes();
  GetParam().change(subject, spec);
  const auto misfit = find_misfit(subject, spec);
  ASSERT_EQ(misfit.has_value(), *GetParam().reason != '\0') << (misfit ? misfit->message : "");
  if (!misfit) return;
  EXPECT_EQ(misfit->reason, GetParam().reason);
  EXPECT_EQ(misfit->stage, GetParam().stage);
  for (const std::string& part : GetParam().says) EXPECT_THAT(misfit->message, HasSubstr(part));
}

using P = api::Plan;
using S = api::ImageBuildSpec;
void add(P& to, int stage, const std::function<void(api::RunStep&)>& change) {
  to.stages[static_cast<std::size_t>(stage)].steps.push_back(run(change));
}

std::vector<Row> rows() {
  return {
      {"APlainPlanFits", [](P&, S&) {}, "", "", {}},
      {"NoHostNetwork",
       [](P& p, S&) { add(p, 1, [](api::RunStep& r) { r.network = api::Network::kHost; }); },
       "Unsupported",
       "two",
       {"Dockerfile:7:3: ", "RUN --network=host"}},
      {"NoNetworkIsFine",
       [](P& p, S&) { add(p, 1, [](api::RunStep& r) { r.network = api::Network::kNone; }); },
       "",
       "",
       {}},
      {"ARequiredKeyIsMissing",
       [](P& p, S&) {
         add(p, 0, [](api::RunStep& r) { r.mounts = {api::SshMount{.id = "github", .required = true}}; });
       },
       "NotFound",
       "one",
       {"Dockerfile:7:3: RUN --mount=type=ssh", "'github'", "spec.ssh"}},
      {"ARequiredKeyIsThere",
       [](P& p, S& s) {
         add(p, 0, [](api::RunStep& r) { r.mounts = {api::SshMount{.id = "default", .required = true}}; });
         s.ssh = {{"", {"keys", "id"}}};
       },
       "",
       "",
       {}},
      {"AnyOtherKeyMayBeMissing",
       [](P& p, S&) { add(p, 0, [](api::RunStep& r) { r.mounts = {api::SshMount{.id = "default"}}; }); },
       "",
       "",
       {}},
      {"ARequiredSecretIsMissing",
       [](P& p, S&) { add(p, 0, [](api::RunStep& r) { r.secrets = {{.id = "token", .required = true}}; }); },
       "NotFound",
       "one",
       {"Dockerfile:7:3: ", "'token'", "spec.secrets"}},
      {"ARequiredSecretIsThere",
       [](P& p, S& s) {
         add(p, 0, [](api::RunStep& r) { r.secrets = {{.id = "token", .required = true}}; });
         s.secrets = {{"token", {"tokens", "npm"}}};
       },
       "",
       "",
       {}},
      {"TheStagesSelectorContradictsItsPlatform",
       [](P& p, S& s) {
         p.stages[1].platform = "linux/arm64";
         s.stages = {api::StageSettings{.name = "two", .pod = {}}};
         s.stages[0].pod.node_selector = {{"kubernetes.io/arch", "amd64"}};
       },
       "InvalidInput",
       "two",
       {"Dockerfile:3:1: stage 'two' is for linux/arm64", "spec.stages[two].nodeSelector", "kubernetes.io/arch=amd64"}},
      {"TheDefaultSelectorContradictsAPlatform",
       [](P& p, S& s) {
         p.stages[0].platform = "linux/arm/v7";
         s.stage_defaults.node_selector = {{"beta.kubernetes.io/arch", "amd64"}};
       },
       "InvalidInput",
       "one",
       {"spec.stageDefaults.nodeSelector wants a node with beta.kubernetes.io/arch=amd64"}},
      {"TheSelectorSaysTheSame",
       [](P& p, S& s) {
         p.stages[0].platform = p.stages[1].platform = "linux/arm/v7";
         s.stage_defaults.node_selector = {{"kubernetes.io/arch", "arm"}, {"kubernetes.io/os", "linux"}};
       },
       "",
       "",
       {}},
      {"AComputedStageNeedsNoNode",
       [](P& p, S& s) {
         p.stages[2].platform = "linux/arm64";
         s.artifacts.volume.access_modes.clear();
         s.stage_defaults.node_selector = {{"kubernetes.io/arch", "amd64"}};
       },
       "",
       "",
       {}},
      {"TwoArchitecturesOnOneNode",
       [](P& p, S& s) {
         p.stages[1].platform = "linux/arm64";
         s.artifacts.volume.access_modes = {"ReadWriteOnce"};
       },
       "InvalidInput",
       "two",
       {"stage 'two' needs a node for linux/arm64 and stage 'one' one for linux/amd64", "ReadWriteMany", "Registry"}},
      {"TwoArchitecturesOnManyNodes", [](P& p, S&) { p.stages[1].platform = "linux/arm64"; }, "", "", {}},
      {"TwoArchitecturesThroughARegistry",
       [](P& p, S& s) {
         p.stages[1].platform = "linux/arm64";
         s.artifacts = {api::Transport::kRegistry, {}, "registry.example/artifacts"};
       },
       "",
       "",
       {}},
      {"TwoVariantsOfOneArchitecture",
       [](P& p, S& s) {
         p.stages[0].platform = "linux/arm/v6";
         p.stages[1].platform = "linux/arm/v7";
         s.artifacts.volume.access_modes.clear();
       },
       "",
       "",
       {}},
  };
}

INSTANTIATE_TEST_SUITE_P(Rows, ClusterFit, testing::ValuesIn(rows()),
                         [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(ClusterWarnings, SayOnceWhereCachesCouldBeKept) {
  api::Plan subject = plan();
  api::ImageBuildSpec spec;
  EXPECT_THAT(cluster_warnings(subject, spec), IsEmpty());
  add(subject, 0, [](api::RunStep& r) { r.mounts = {api::TmpfsMount{.target = "/t"}}; });
  EXPECT_THAT(cluster_warnings(subject, spec), IsEmpty());
  add(subject, 0, [](api::RunStep& r) { r.mounts = {api::CacheMount{.id = "a", .target = "/c"}}; });
  add(subject, 1, [](api::RunStep& r) { r.mounts = {api::CacheMount{.id = "b", .target = "/c"}}; });
  const std::vector<api::Warning> found = cluster_warnings(subject, spec);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].at, (api::SourceLine{7, 3}));
  EXPECT_THAT(found[0].message, HasSubstr("spec.cacheMounts.persistentVolumeClaim"));
  spec.cache_mounts.claim = api::ClaimSource{"caches"};
  EXPECT_THAT(cluster_warnings(subject, spec), IsEmpty());
}

TEST(NodeArchitecture, IsTheKubelets) {
  EXPECT_EQ(node_architecture("linux/amd64"), "amd64");
  EXPECT_EQ(node_architecture("linux/arm/v7"), "arm");
  EXPECT_EQ(node_architecture("linux"), "");
  api::Plan subject = plan();
  subject.stages[0].platform = "linux/arm64";
  subject.stages[2].platform = "linux/riscv64";
  EXPECT_THAT(node_architectures(subject), ElementsAre("amd64", "arm64"));
}

}  // namespace
}  // namespace imagebuild::build
