// What the pods of a build may do and see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/objects.h"
#include "unit/operator/pod_security_baseline.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<api::ImageBuild> builds() {
  api::ImageBuild claim = sample_build();
  claim.spec.source = {};
  claim.spec.source.claim = api::ClaimSource{"sources"};
  api::ImageBuild config_map = sample_build();
  config_map.spec.source = {};
  config_map.spec.source.config_map = api::ConfigMapRef{"context"};
  api::ImageBuild registry = sample_build();
  registry.spec.artifacts.transport = api::Transport::kRegistry;
  return {sample_build(), bare_build(), claim, config_map, registry, language_build()};
}

// Does `check` for every kind of pod of every kind of build.
void each_pod(const std::function<void(const Json& pod)>& check) {
  for (const api::ImageBuild& build : builds()) {
    for (const PodCase& kind : pod_kinds()) {
      SCOPED_TRACE(kind.name);
      check(pod_of(build, kind.work));
    }
  }
  check(language_pod(language_build()));
}

std::vector<std::string> mount_paths(const Json& pod) {
  std::vector<std::string> paths;
  for (const Json& mount : container_of(pod).at("volumeMounts")) paths.push_back(mount.at("mountPath"));
  return paths;
}

const Json& named(const Json& list, const std::string& name) {
  static const Json kNone = Json::object();
  for (const Json& one : list) {
    if (one.at("name") == name) return one;
  }
  ADD_FAILURE() << "there is no " << name;
  return kNone;
}

// The names of all Secrets that the pod mounts.
std::vector<std::string> mounted_secrets(const Json& pod) {
  std::vector<std::string> names;
  for (const Json& volume : pod.at("spec").at("volumes")) {
    if (volume.contains("secret")) names.push_back(volume.at("secret").at("secretName"));
    if (!volume.contains("projected")) continue;
    for (const Json& source : volume.at("projected").at("sources")) {
      if (source.contains("secret")) names.push_back(source.at("secret").at("name"));
    }
  }
  return names;
}

TEST(PodSecurity, BaselineAdmitsEveryKindOfPod) {
  each_pod([](const Json& pod) { EXPECT_THAT(baseline_violations(pod), IsEmpty()); });
}

// The checker itself must be able to say no.
TEST(PodSecurity, BaselineForbidsWhatItsControlsName) {
  struct Row {
    const char* patch;  // Merged into the prepare pod.
    const char* violation;
  };
  const Row rows[] = {
      {R"({"spec":{"hostNetwork":true}})", "hostNetwork"},
      {R"({"spec":{"hostPID":true}})", "hostPID"},
      {R"({"spec":{"hostIPC":true}})", "hostIPC"},
      {R"({"spec":{"volumes":[{"name":"x","hostPath":{"path":"/"}}]}})", "hostPath"},
      {R"({"spec":{"securityContext":{"sysctls":[{"name":"kernel.msgmax"}]}}})", "sysctls"},
      {R"({"spec":{"securityContext":{"seccompProfile":{"type":"Unconfined"}}}})", "securityContext.seccompProfile"},
      {R"({"spec":{"securityContext":{"windowsOptions":{"hostProcess":true}}}})",
       "securityContext.windowsOptions.hostProcess"},
      {R"({"spec":{"securityContext":{"seLinuxOptions":{"type":"spc_t"}}}})", "securityContext.seLinuxOptions.type"},
      {R"({"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/c":"unconfined"}}})",
       "container.apparmor.security.beta.kubernetes.io/c"},
      {R"({"spec":{"containers":[{"name":"c","securityContext":{"privileged":true}}]}})", "containers[c].privileged"},
      {R"({"spec":{"containers":[{"name":"c","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}]}})",
       "containers[c].capabilities"},
      {R"({"spec":{"containers":[{"name":"c","securityContext":{"procMount":"Unmasked"}}]}})",
       "containers[c].procMount"},
      {R"({"spec":{"containers":[{"name":"c","ports":[{"hostPort":80}]}]}})", "containers[c].hostPort"},
      {R"({"spec":{"initContainers":[{"name":"i","securityContext":{"privileged":true}}]}})",
       "initContainers[i].privileged"},
  };
  for (const Row& row : rows) {
    Json pod = pod_of(sample_build(), kPrepareWork);
    pod.merge_patch(Json::parse(row.patch));
    EXPECT_THAT(baseline_violations(pod), ElementsAre(row.violation)) << row.patch;
  }
}

TEST(PodSecurity, NoPodHasAServiceAccountTokenOrTheEnvironmentOfServices) {
  each_pod([](const Json& pod) {
    EXPECT_EQ(pod.at("spec").at("automountServiceAccountToken"), false);
    EXPECT_EQ(pod.at("spec").at("enableServiceLinks"), false);
    EXPECT_THAT(pod.dump(), Not(HasSubstr("serviceAccountToken\"")));
    EXPECT_THAT(mount_paths(pod), Not(Contains(HasSubstr("/var/run/secrets"))));
  });
}

TEST(PodSecurity, PodsHaveOneContainerAndNoInitContainers) {
  each_pod([](const Json& pod) {
    EXPECT_EQ(pod.at("spec").at("restartPolicy"), "Never");
    if (moves_artifacts(pod)) return;
    EXPECT_EQ(pod.at("spec").at("containers").size(), 1U);
    EXPECT_FALSE(pod.at("spec").contains("initContainers"));
  });
}

TEST(PodSecurity, ContainersOfOursMoveTheArtifactsOfAStageWhereTheyGoThroughARegistry) {
  api::ImageBuild build = sample_build();
  build.spec.artifacts = {api::Transport::kRegistry, {}, "registry.example/team/artifacts"};
  for (const PodCase& kind : pod_kinds()) {
    const Json pod = pod_of(build, kind.work);
    EXPECT_EQ(named(pod.at("spec").at("volumes"), "artifacts").at("emptyDir"), Json::object()) << kind.name;
    EXPECT_THAT(pod.dump(), Not(HasSubstr("persistentVolumeClaim"))) << kind.name;
    EXPECT_EQ(moves_artifacts(pod), kind.work.role == build::PodRole::kStage) << kind.name;
    if (!moves_artifacts(pod)) continue;
    const Json fetch = named(pod.at("spec").at("initContainers"), "fetch");
    const Json store = named(pod.at("spec").at("containers"), "store");
    EXPECT_EQ(pod.at("spec").at("containers").size(), 2U);
    EXPECT_EQ(container_of(pod).at("name"), "stage");
    for (const Json& own : {fetch, store}) {
      EXPECT_EQ(own.at("image"), sample_settings().builder_image);
      EXPECT_EQ(own.at("securityContext").at("readOnlyRootFilesystem"), true);
      EXPECT_EQ(own.at("env"), Json::array());
      std::vector<std::string> mounts;
      for (const Json& mount : own.at("volumeMounts")) mounts.push_back(mount.at("name"));
      EXPECT_THAT(mounts, UnorderedElementsAre("artifacts", "job", "tmp", "registry-0", "registry-1", "registry-2"));
    }
  }
}

TEST(PodSecurity, AStageSeesNoRegistryCredentialsAndThoseBesideItNoBuildSecrets) {
  api::ImageBuild build = sample_build();
  build.spec.artifacts = {api::Transport::kRegistry, {}, "registry.example/team/artifacts"};
  const Json with_registry = pod_of(build, stage_work(kApp));
  // The stage's container is the one that it is with a claim.
  EXPECT_EQ(container_of(with_registry), container_of(pod_of(sample_build(), stage_work(kApp))));
  EXPECT_THAT(mounted_secrets(with_registry),
              UnorderedElementsAre("tokens", "tokens", "push-login", "pull-login", "mirror-login"));
  EXPECT_THAT(mounted_secrets(pod_of(build, kPrepareWork)),
              UnorderedElementsAre("git-login", "push-login", "pull-login", "mirror-login"));
}

TEST(PodSecurity, OnlyReportsAreInTheEnvironment) {
  each_pod([](const Json& pod) {
    const Json& env = container_of(pod).at("env");
    ASSERT_EQ(env.size(), 2U);
    const std::string path =
        "/v1/reports/team/app/0b8d2c6e-1111-4222-8333-444455556666/" + pod.at("metadata").at("name").get<std::string>();
    EXPECT_EQ(env[0], (Json{{"name", "IMAGEBUILD_REPORT_URL"}, {"value", "http://10.0.0.7:8081" + path}}));
    EXPECT_EQ(env[1], (Json{{"name", "IMAGEBUILD_REPORT_TOKEN"}, {"value", "signed:" + path}}));
  });
}

TEST(PodSecurity, NothingIsInTheEnvironmentWhenNobodyListens) {
  ClusterSettings settings = sample_settings();
  settings.report_base_url.clear();
  settings.sign = nullptr;
  const api::ImageBuild build = sample_build();
  for (const PodCase& kind : pod_kinds()) {
    const Json pod = make_pod(build, sample_plan(), create(build, kind.work), settings);
    EXPECT_EQ(container_of(pod).at("env"), Json::array()) << kind.name;
  }
}

// By a row for each pod: exactly these Secrets are mounted.
TEST(PodSecurity, SecretsAreOnlyWhereTheyAreNeeded) {
  const api::ImageBuild build = sample_build();
  EXPECT_THAT(mounted_secrets(pod_of(build, kPrepareWork)),
              UnorderedElementsAre("git-login", "pull-login", "mirror-login"));
  EXPECT_THAT(mounted_secrets(pod_of(build, kPublishWork)), ElementsAre("push-login", "pull-login", "mirror-login"));
  EXPECT_THAT(mounted_secrets(pod_of(build, stage_work(kApp))), UnorderedElementsAre("tokens", "tokens"));
  for (const int stage : {kDeps, kBundle, kCheck, kFinal}) {
    EXPECT_THAT(mounted_secrets(pod_of(build, stage_work(stage))), IsEmpty()) << stage;
  }
}

TEST(PodSecurity, AnHttpSourcesSecretIsOnlyInPrepare) {
  api::ImageBuild build = bare_build();
  build.spec.source = {};
  build.spec.source.http = api::HttpSource{.url = "https://example/a.tgz", .secret = api::SecretRef{"http-login"}};
  EXPECT_THAT(mounted_secrets(pod_of(build, kPrepareWork)), ElementsAre("http-login"));
  EXPECT_THAT(mounted_secrets(pod_of(build, kPublishWork)), IsEmpty());
  EXPECT_THAT(mounted_secrets(pod_of(build, stage_work(kDeps))), IsEmpty());
}

TEST(PodSecurity, PushCredentialsComeFirstInPublish) {
  const Json pod = pod_of(sample_build(), kPublishWork);
  const std::vector<std::string> in_order = {"push-login", "pull-login", "mirror-login"};
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    const std::string volume = "registry-" + std::to_string(i);
    EXPECT_EQ(named(pod.at("spec").at("volumes"), volume).at("secret").at("secretName"), in_order[i]);
    EXPECT_EQ(named(container_of(pod).at("volumeMounts"), volume).at("mountPath"),
              "/imagebuild/registry/" + std::to_string(i));
  }
  EXPECT_THAT(mount_paths(pod),
              UnorderedElementsAre("/.imagebuild", "/imagebuild/job", "/tmp", "/imagebuild/registry/0",
                                   "/imagebuild/registry/1", "/imagebuild/registry/2"));
}

TEST(PodSecurity, AStagesSecretsAreNumberedAsThePlanNumbersThem) {
  const Json pod = pod_of(sample_build(), stage_work(kApp));
  const Json& volumes = pod.at("spec").at("volumes");
  // The ids are absent (0), npm (1), pip (2); the spec has no "absent".
  EXPECT_EQ(volumes.back(), Json::parse(R"({"name":"secrets","projected":{"defaultMode":256,"sources":[
      {"secret":{"name":"tokens","items":[{"key":"npm-token","path":"1","mode":256}]}},
      {"secret":{"name":"tokens","items":[{"key":"pip.conf","path":"2","mode":256}]}}]}})"));
}

TEST(PodSecurity, AStageSeesItsPartsOfTheArtifactsAndWritesItsOwnOnly) {
  struct Row {
    int stage;
    std::vector<std::string> read;
    std::string write;
  };
  const Row rows[] = {
      {kDeps, {"bin/amd64", "plan.json", "context", "bases"}, "stages/0"},
      {kApp, {"bin/amd64", "plan.json", "context", "bases", "stages/0"}, "stages/1"},
      {kBundle, {"plan.json", "context", "bases", "stages/1"}, "stages/2"},
      {kCheck, {"bin/amd64", "plan.json", "context", "bases", "stages/2"}, "stages/3"},
  };
  for (const Row& row : rows) {
    std::vector<std::string> read;
    std::vector<std::string> write;
    const Json pod = pod_of(sample_build(), stage_work(row.stage));
    for (const Json& mount : container_of(pod).at("volumeMounts")) {
      if (mount.at("name") != "artifacts") continue;
      const std::string part = mount.at("subPath");
      EXPECT_EQ(mount.at("mountPath"), "/.imagebuild/" + part);
      (mount.value("readOnly", false) ? read : write).push_back(part);
    }
    EXPECT_EQ(read, row.read) << row.stage;
    EXPECT_THAT(write, ElementsAre(row.write)) << row.stage;
  }
}

TEST(PodSecurity, AStageOnAStageOnAStageSeesTheWholeChain) {
  api::Plan plan = sample_plan();
  plan.stages[kBundle].base = api::OnStage{kApp};
  plan.stages[kBundle].needs = {};
  plan.stages[kBundle].needs_container = true;
  const api::ImageBuild build = sample_build();
  const Json pod = make_pod(build, plan, create(build, stage_work(kBundle)), sample_settings());
  EXPECT_THAT(mount_paths(pod), testing::IsSupersetOf({"/.imagebuild/stages/0", "/.imagebuild/stages/1"}));
  EXPECT_EQ(container_of(pod).at("image"), plan.images[0].reference);
}

// Of other volumes, only the scratch folder of our own programs, and what is for the commands: caches, shared memory.
TEST(PodSecurity, EveryOtherMountIsReadOnly) {
  each_pod([](const Json& pod) {
    for (const Json& mount : container_of(pod).at("volumeMounts")) {
      const std::string name = mount.at("name");
      if (name == "artifacts" || name == "tmp" || name == "caches" || name == "shm") continue;
      EXPECT_EQ(mount.value("readOnly", false), true) << mount;
    }
  });
}

TEST(PodSecurity, WhereOurProgramsRunAloneTheContainerIsHardened) {
  for (const build::Work& work : {kPrepareWork, stage_work(kBundle), kPublishWork}) {
    const Json context = container_of(pod_of(sample_build(), work)).at("securityContext");
    EXPECT_EQ(context, Json::parse(R"({"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,
        "capabilities":{"drop":["ALL"],"add":["CHOWN","DAC_OVERRIDE","FOWNER"]}})"));
  }
}

TEST(PodSecurity, ContainersAreRootWhateverTheImageSays) {
  each_pod([](const Json& pod) {
    EXPECT_EQ(pod.at("spec").at("securityContext"),
              Json::parse(R"({"runAsUser":0,"runAsGroup":0,"seccompProfile":{"type":"RuntimeDefault"}})"));
    EXPECT_EQ(container_of(pod).at("workingDir"), "/");
  });
}

}  // namespace
}  // namespace imagebuild::op
