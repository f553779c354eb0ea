// What the pods of stages have for the mounts of RUN, and where they may run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/digest.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;
using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

Json volume_of(const Json& pod, const std::string& name) {
  for (const Json& volume : pod.at("spec").at("volumes")) {
    if (volume.at("name") == name) return volume;
  }
  return nullptr;
}
std::vector<Json> mounts_of(const Json& pod, const std::string& volume) {
  std::vector<Json> found;
  for (const Json& mount : container_of(pod).at("volumeMounts")) {
    if (mount.at("name") == volume) found.push_back(mount);
  }
  return found;
}
std::string cache_folder(const std::string& id) {
  return "imagebuild-cache/" + std::string(oci::Digest::of(id).hex().substr(0, 16));
}

TEST(PodsLanguage, ACacheIsAFolderOfTheClaimByItsId) {
  const Json pod = language_pod(language_build());
  EXPECT_EQ(volume_of(pod, "caches"),
            Json::parse(R"({"name":"caches","persistentVolumeClaim":{"claimName":"caches"}})"));
  // In the order of their ids: apt, pip.
  const std::vector<Json> expected = {
      {{"name", "caches"}, {"mountPath", "/.imagebuild/caches/0"}, {"subPath", cache_folder("apt")}},
      {{"name", "caches"}, {"mountPath", "/.imagebuild/caches/1"}, {"subPath", cache_folder("pip")}}};
  EXPECT_EQ(mounts_of(pod, "caches"), expected);
}

TEST(PodsLanguage, WithoutAClaimACacheGoesWithThePod) {
  api::ImageBuild build = language_build();
  build.spec.cache_mounts = {};
  const Json pod = language_pod(build);
  EXPECT_EQ(volume_of(pod, "caches"), Json::parse(R"({"name":"caches","emptyDir":{}})"));
  ASSERT_EQ(mounts_of(pod, "caches").size(), 2U);
  EXPECT_EQ(mounts_of(pod, "caches")[1].at("subPath"), "1");
}

TEST(PodsLanguage, OnlyStagesThatMountCachesAndKeysHaveThem) {
  for (const int stage : {kApp, kBundle, kCheck}) {
    const api::ImageBuild build = language_build();
    const Json pod = make_pod(build, language_plan(), create(build, stage_work(stage)), sample_settings());
    EXPECT_EQ(volume_of(pod, "caches"), nullptr) << stage;
    EXPECT_EQ(volume_of(pod, "ssh"), nullptr) << stage;
  }
  const Json publish = pod_of(language_build(), kPublishWork);
  EXPECT_EQ(volume_of(publish, "caches"), nullptr);
  EXPECT_EQ(publish.at("spec").dump().find("keys"), std::string::npos);
}

TEST(PodsLanguage, AKeyIsAFileOfItsStageThatOnlyRootReads) {
  const Json pod = language_pod(language_build());
  // The ids are absent (0), github (1); the spec has no "absent".
  EXPECT_EQ(volume_of(pod, "ssh"), Json::parse(R"({"name":"ssh","projected":{"defaultMode":256,"sources":[
      {"secret":{"name":"keys","items":[{"key":"github","path":"1","mode":256}]}}]}})"));
  const std::vector<Json> expected = {{{"name", "ssh"}, {"mountPath", "/.imagebuild/ssh"}, {"readOnly", true}}};
  EXPECT_EQ(mounts_of(pod, "ssh"), expected);
}

TEST(PodsLanguage, AStageSeesTheTreesThatItTakesFilesFrom) {
  std::vector<std::string> parts;
  for (const Json& mount : mounts_of(language_pod(language_build()), "artifacts")) {
    parts.push_back(mount.at("subPath"));
    EXPECT_EQ(mount.value("readOnly", false), mount.at("subPath") != "stages/0") << mount;
  }
  EXPECT_THAT(parts, IsSupersetOf({"trees/0.index", "trees/0.tar", "trees/2.index", "trees/2.tar"}));
  EXPECT_THAT(parts, Not(Contains("trees/1.tar")));
}

TEST(PodsLanguage, HostsAndSharedMemoryAreForStagesThatRunSomething) {
  const Json pod = language_pod(language_build());
  EXPECT_EQ(pod.at("spec").at("hostAliases"),
            Json::parse(R"([{"ip":"10.0.0.1","hostnames":["proxy","mirror.example"]}])"));
  EXPECT_EQ(volume_of(pod, "shm"), Json::parse(R"({"name":"shm","emptyDir":{"medium":"Memory","sizeLimit":"1Gi"}})"));
  EXPECT_EQ(mounts_of(pod, "shm").at(0).at("mountPath"), "/dev/shm");
  for (const build::Work& work : {kPrepareWork, stage_work(kBundle), kPublishWork}) {
    const Json other = pod_of(language_build(), work);
    EXPECT_FALSE(other.at("spec").contains("hostAliases"));
    EXPECT_EQ(volume_of(other, "shm"), nullptr);
  }
}

TEST(PodsLanguage, PrepareSeesTheNamedContexts) {
  const Json pod = pod_of(language_build(), kPrepareWork);
  EXPECT_EQ(volume_of(pod, "context-0"), nullptr);
  EXPECT_EQ(volume_of(pod, "context-1").at("configMap").at("name"), "assets");
  EXPECT_EQ(mounts_of(pod, "context-1").at(0),
            (Json{{"name", "context-1"}, {"mountPath", "/imagebuild/contexts/1"}, {"readOnly", true}}));
  EXPECT_EQ(volume_of(pod, "context-2-secret").at("secret"),
            (Json{{"secretName", "git-login"}, {"defaultMode", 0400}}));
  EXPECT_EQ(mounts_of(pod, "context-2-secret").at(0).at("mountPath"), "/imagebuild/context-secrets/2");
  EXPECT_EQ(volume_of(pod, "context-3").at("persistentVolumeClaim"), (Json{{"claimName", "data"}, {"readOnly", true}}));
}

TEST(PodsLanguage, AClaimIsOneVolumeHoweverOftenItIsNamed) {
  api::ImageBuild build = language_build();
  build.spec.source = {};
  build.spec.source.claim = build.spec.contexts[3].files.claim = build.spec.cache_mounts.claim =
      api::ClaimSource{"all"};
  const Json pod = pod_of(build, kPrepareWork);
  EXPECT_EQ(volume_of(pod, "context-3"), nullptr);
  EXPECT_EQ(volume_of(pod, "caches"), nullptr);
  ASSERT_EQ(mounts_of(pod, "source").size(), 2U);
  EXPECT_EQ(mounts_of(pod, "source")[0].at("mountPath"), "/imagebuild/source");
  EXPECT_EQ(mounts_of(pod, "source")[1].at("mountPath"), "/imagebuild/contexts/3");
}

TEST(PodsLanguage, WhereTheVolumeIsForOneNodePrepareGoesWhereTheCachesAre) {
  api::ImageBuild build = language_build();
  const auto caches = [&] { return volume_of(pod_of(build, kPrepareWork), "caches"); };
  EXPECT_EQ(caches().at("persistentVolumeClaim").at("claimName"), "caches");
  EXPECT_TRUE(mounts_of(pod_of(build, kPrepareWork), "caches").empty());
  build.spec.artifacts.volume.access_modes = {"ReadWriteMany"};
  EXPECT_EQ(caches(), nullptr);
  build.spec.artifacts = {api::Transport::kRegistry, {}, "registry.example/artifacts"};
  EXPECT_EQ(caches(), nullptr);
}

TEST(PodsLanguage, WhereTheVolumeIsForOneNodePrepareWouldRatherHaveTheArchitectureOfTheImage) {
  const Json wish = Json::parse(R"([{"weight":100,"preference":{"matchExpressions":[
      {"key":"kubernetes.io/arch","operator":"In","values":["arm64"]}]}}])");
  api::ImageBuild build = language_build();
  const auto affinity = [&](const build::Work& work) {
    return pod_of(build, work).at("spec").value("affinity", Json());
  };
  EXPECT_EQ(affinity(kPrepareWork).at("nodeAffinity").at("preferredDuringSchedulingIgnoredDuringExecution"), wish);
  EXPECT_EQ(affinity(kPublishWork), nullptr);
  build.spec.platforms.emplace_back("linux/amd64");
  EXPECT_EQ(affinity(kPrepareWork), nullptr);
  build.spec.platforms.pop_back();
  build.spec.artifacts.volume.access_modes = {"ReadWriteMany"};
  EXPECT_EQ(affinity(kPrepareWork), nullptr);
}

}  // namespace
}  // namespace imagebuild::op
