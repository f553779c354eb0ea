// One pod of each kind, and the claim, against data/pods/<kind>.json.
// IMAGEBUILD_UPDATE_GOLDEN=1 writes the expectations anew: read each difference before you commit it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "operator/pods/claim.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

namespace fs = std::filesystem;

void expect_golden(const std::string& name, const kube::Json& object) {
  const fs::path file = fs::path(IMAGEBUILD_TEST_DATA) / "pods" / (name + ".json");
  const std::string text = object.dump(2) + "\n";
  if (const char* wanted = std::getenv("IMAGEBUILD_UPDATE_GOLDEN"); wanted != nullptr && *wanted == '1') {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    ASSERT_TRUE(write_file_atomically(file, text).ok());
  }
  const Result<std::string> expected = read_file(file, 1 << 20);
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  EXPECT_EQ(text, *expected);
}

TEST(PodsGolden, PodsOfEachKind) {
  for (const PodCase& kind : pod_kinds()) {
    SCOPED_TRACE(kind.name);
    expect_golden(kind.name, pod_of(sample_build(), kind.work));
  }
}

TEST(PodsGolden, PodsWhoseArtifactsGoThroughARegistry) {
  api::ImageBuild build = sample_build();
  build.spec.artifacts = {api::Transport::kRegistry, {}, "registry.example/team/artifacts"};
  expect_golden("prepare_with_registry", pod_of(build, kPrepareWork));
  expect_golden("stage_with_registry", pod_of(build, stage_work(kApp)));
  expect_golden("publish_with_registry", pod_of(build, kPublishWork));
}

TEST(PodsGolden, AStageWithAllItsSettingsOnOneNode) {
  api::ImageBuild build = sample_build();
  api::PodSettings& pod = build.spec.stages.emplace_back(api::StageSettings{.name = "deps", .pod = {}}).pod;
  pod.resources.requests = {{"cpu", {"2"}}, {"memory", {"4Gi"}}};
  pod.resources.limits = {{"memory", {"8Gi"}}, {"example.com/gpu", {"1"}}};
  pod.node_selector = {{"disk", "fast"}};
  pod.tolerations = {{.key = "dedicated", .op = "Equal", .value = "ci", .effect = "NoExecute", .seconds = 60}};
  pod.affinity.text = R"({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
      {"matchExpressions":[{"key":"zone","operator":"In","values":["a"]}]}]}}})";
  pod.runtime_class_name = "sandboxed";
  pod.priority_class_name = "low";
  pod.service_account_name = "builds";
  build.spec.output.compression = api::Compression::kZstd;
  build.spec.timeout = "90m";
  expect_golden("stage_with_settings", pod_of(build, stage_work(kDeps), "node-2"));
}

TEST(PodsGolden, PodsThatHaveAllThatTheLanguageAsksFor) {
  expect_golden("prepare_with_language", pod_of(language_build(), kPrepareWork));
  expect_golden("stage_with_language", language_pod(language_build()));
}

TEST(PodsGolden, TheClaim) {
  api::ImageBuild build = sample_build();
  expect_golden("claim", make_claim(build, {build::claim_name(build, kGeneration), kGeneration}));
  build.spec.artifacts.volume = {.storage_class_name = "shared", .size = {"50Gi"}, .access_modes = {"ReadWriteMany"}};
  expect_golden("claim_with_settings", make_claim(build, {build::claim_name(build, kGeneration), kGeneration}));
}

}  // namespace
}  // namespace imagebuild::op
