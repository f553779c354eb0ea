// Who sees the cache of results (spec.cache): prepare and publish, and no pod that runs user code.
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

TEST(PodsCache, PrepareAndPublishMountAFolderOfTheClaim) {
  for (const build::Work& work : {kPrepareWork, kPublishWork}) {
    const Json pod = pod_of(with_claim(), work);
    EXPECT_EQ(volume_of(pod, "cache"),
              Json::parse(R"({"name":"cache","persistentVolumeClaim":{"claimName":"results"}})"));
    EXPECT_EQ(mount_of(pod, "cache"),
              Json::parse(R"({"name":"cache","mountPath":"/imagebuild/cache","subPath":"imagebuild-results"})"));
  }
}

TEST(PodsCache, PrepareAndPublishSeeTheCredentialsOfTheRepository) {
  for (const build::Work& work : {kPrepareWork, kPublishWork}) {
    const Json pod = pod_of(with_registry(), work);
    EXPECT_EQ(volume_of(pod, "cache-secret").at("secret").at("secretName"), "cache-login");
    EXPECT_EQ(mount_of(pod, "cache-secret").at("mountPath"), "/imagebuild/cache-secret");
  }
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
