// Who sees the cache of results (spec.cache): prepare, publish and keep, and no pod that runs user code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;

Json named(const Json& list, const std::string& name) {
  for (const Json& one : list) {
    if (one.at("name") == name) return one;
  }
  return nullptr;
}
Json volume_of(const Json& pod, const std::string& name) {
  return named(pod.at("spec").at("volumes"), name);
}
Json mount_of(const Json& pod, const std::string& name) {
  return named(container_of(pod).at("volumeMounts"), name);
}

api::ImageBuild with_claim() {
  api::ImageBuild build = sample_build();
  build.spec.cache.claim = api::ClaimSource{"results"};
  return build;
}
api::ImageBuild with_registry() {
  api::ImageBuild build = sample_build();
  build.spec.cache.registry = api::CacheRegistry{"registry.example/team/cache", api::SecretRef{"cache-login"}};
  return build;
}

std::vector<std::string> registry_secrets_of(const Json& pod) {
  std::vector<std::string> names;
  for (const Json& volume : pod.at("spec").at("volumes")) {
    if (volume.contains("secret")) names.push_back(volume.at("secret").at("secretName"));
  }
  return names;
}

TEST(PodsCache, WhoReadsOrKeepsMountsAFolderOfTheClaim) {
  for (const build::Work& work : {kPrepareWork, kPublishWork, kKeepWork}) {
    const Json pod = pod_of(with_claim(), work);
    EXPECT_EQ(volume_of(pod, "cache"),
              Json::parse(R"({"name":"cache","persistentVolumeClaim":{"claimName":"results"}})"));
    EXPECT_EQ(mount_of(pod, "cache"),
              Json::parse(R"({"name":"cache","mountPath":"/imagebuild/cache","subPath":"imagebuild-results"})"));
  }
}

TEST(PodsCache, WhoReadsOrKeepsSeesTheCredentialsOfTheRepository) {
  for (const build::Work& work : {kPrepareWork, kPublishWork, kKeepWork}) {
    const Json pod = pod_of(with_registry(), work);
    EXPECT_EQ(volume_of(pod, "cache-secret").at("secret").at("secretName"), "cache-login");
    EXPECT_EQ(mount_of(pod, "cache-secret").at("mountPath"), "/imagebuild/cache-secret");
  }
}

TEST(PodsCache, WhoOnlyKeepsHasCredentialsForTheCacheAlone) {
  EXPECT_THAT(registry_secrets_of(pod_of(with_claim(), kKeepWork)), testing::IsEmpty());
  EXPECT_THAT(registry_secrets_of(pod_of(with_registry(), kKeepWork)), testing::ElementsAre("cache-login"));
  api::ImageBuild build = with_registry();
  build.spec.cache.registry->secret.reset();
  EXPECT_EQ(registry_secrets_of(pod_of(build, kKeepWork)), registry_secrets_of(pod_of(build, kPublishWork)))
      << "those that the image is pushed with";
}

TEST(PodsCache, WhoOnlyKeepsIsToldTheStagesAndHasTenMinutes) {
  build::CreatePod wanted = create(with_claim(), kKeepWork);
  wanted.stages = {0, 2};
  const Json pod = make_pod(with_claim(), sample_plan(), wanted, sample_settings());
  const auto command = container_of(pod).at("command").get<std::vector<std::string>>();
  EXPECT_EQ(command[1], "keep");
  EXPECT_EQ(std::vector(command.end() - 4, command.end()), (std::vector<std::string>{"--stage", "0", "--stage", "2"}));
  EXPECT_EQ(pod.at("spec").at("activeDeadlineSeconds"), 600);
}

TEST(PodsCache, NoStageSeesAnyOfIt) {
  for (const int stage : {kDeps, kApp, kBundle, kCheck}) {
    for (const api::ImageBuild& build : {with_claim(), with_registry()}) {
      EXPECT_EQ(pod_of(build, stage_work(stage)), pod_of(sample_build(), stage_work(stage))) << stage;
    }
  }
}

TEST(PodsCache, DisabledIsAsIfNothingWereSaid) {
  api::ImageBuild build = with_claim();
  build.spec.cache.disabled = true;
  for (const build::Work& work : {kPrepareWork, kPublishWork}) {
    EXPECT_EQ(pod_of(build, work).at("spec"), pod_of(sample_build(), work).at("spec"));
  }
}

TEST(PodsCache, AClaimThatIsTheSourceTooIsWritten) {
  api::ImageBuild build = with_claim();
  build.spec.source = {};
  build.spec.source.claim = api::ClaimSource{"results"};
  const Json pod = pod_of(build, kPrepareWork);
  EXPECT_EQ(volume_of(pod, "cache"), nullptr);
  EXPECT_EQ(volume_of(pod, "source"),
            Json::parse(R"({"name":"source","persistentVolumeClaim":{"claimName":"results"}})"));
  EXPECT_TRUE(mount_of(pod, "source").at("readOnly"));
}

}  // namespace
}  // namespace imagebuild::op
