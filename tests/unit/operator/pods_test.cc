// What goes into pods: settings, placement, names.
#include "operator/pods/pod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/pods/claim.h"
#include "operator/pods/metadata.h"
#include "operator/pods/record.h"
#include "operator/pods/scheduling.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;
using testing::ElementsAre;

TEST(Pods, TheCommandIsTheOneOfThePodsWork) {
  const auto command = [](const Json& pod) { return container_of(pod).at("command").get<std::vector<std::string>>(); };
  api::ImageBuild build = sample_build();
  EXPECT_THAT(command(pod_of(build, kPrepareWork)),
              ElementsAre("imagebuild-builder", "prepare", "--job", "/imagebuild/job/imagebuild.json", "--volume",
                          "/.imagebuild", "--registries", "/imagebuild/job/registries.yaml"));
  EXPECT_THAT(command(pod_of(build, stage_work(kApp))),
              ElementsAre("/.imagebuild/bin/amd64/imagebuild-stage", "--volume", "/.imagebuild", "--stage", "1",
                          "--compression", "gzip"));
  build.spec.output.compression = api::Compression::kZstd;
  EXPECT_EQ(command(pod_of(build, stage_work(kApp))).back(), "zstd");
  ClusterSettings settings = sample_settings();
  settings.registries.clear();
  EXPECT_THAT(command(make_pod(build, {}, create(build, kPublishWork), settings)),
              ElementsAre("imagebuild-builder", "publish", "--job", "/imagebuild/job/imagebuild.json", "--volume",
                          "/.imagebuild"));
}

// The source of the volume that shows the job.
Json job_volume(const Json& pod) {
  for (const Json& volume : pod.at("spec").at("volumes")) {
    if (volume.at("name") == "job") return volume;
  }
  return {};
}

TEST(Pods, ABuildersPodCarriesItsJobInItsAnnotations) {
  const api::ImageBuild build = sample_build();
  for (const build::Work& work : {kPrepareWork, kPublishWork}) {
    const Json pod = pod_of(build, work);
    const Json& annotations = pod.at("metadata").at("annotations");
    const auto read = api::ImageBuild::parse(annotations.at(kJobAnnotation).get<std::string>());
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->spec, build.spec);
    EXPECT_EQ(read->uid, build.uid);
    EXPECT_EQ(annotations.at(kRegistriesAnnotation), sample_settings().registries);
    EXPECT_TRUE(job_volume(pod).contains("downwardAPI"));
  }
  EXPECT_FALSE(pod_of(build, stage_work(kDeps)).at("metadata").at("annotations").contains(kJobAnnotation));
}

TEST(Pods, AJobThatDoesNotFitIntoAnnotationsComesFromTheRecord) {
  api::ImageBuild large = bare_build();
  large.spec.source.inline_files->files["data"] = std::string(kMaxJobTextBytes, 'x');
  api::ImageBuild to_be_resolved = bare_build();
  to_be_resolved.spec.build_args = {{"VERSION", {}, api::ValueFrom{api::KeyRef{"versions", "app"}}}};
  for (const api::ImageBuild& build : {large, to_be_resolved}) {
    const Json pod = pod_of(build, kPrepareWork);
    EXPECT_FALSE(pod.at("metadata").contains("annotations"));
    EXPECT_EQ(job_volume(pod).at("configMap").at("name"), build::record_name(build, kGeneration));
    EXPECT_EQ(container_of(pod).at("command").at(3), "/imagebuild/job/imagebuild.json.gz");
  }
  ClusterSettings settings = sample_settings();
  settings.registries = std::string(kMaxJobTextBytes, 'x');
  EXPECT_TRUE(
      job_volume(make_pod(bare_build(), {}, create(bare_build(), kPrepareWork), settings)).contains("configMap"));
}

TEST(Pods, AStagesImageIsItsRootBaseByDigest) {
  const auto image = [](int stage) { return container_of(pod_of(sample_build(), stage_work(stage))).at("image"); };
  EXPECT_EQ(image(kDeps), sample_plan().images[0].reference);
  EXPECT_EQ(image(kApp), sample_plan().images[0].reference);
  EXPECT_EQ(image(kBundle), sample_settings().stage_image);
  EXPECT_EQ(image(kCheck), sample_settings().stage_image);
}

TEST(Pods, AComputedStageOnAnImageStillRunsInTheStageImage) {
  api::Plan plan = sample_plan();
  plan.stages[kBundle].base = api::OnImage{0};
  const api::ImageBuild build = sample_build();
  const Json pod = make_pod(build, plan, create(build, stage_work(kBundle)), sample_settings());
  EXPECT_EQ(container_of(pod).at("image"), sample_settings().stage_image);
}

TEST(Pods, ThePullPolicyIsForTheOperatorsOwnImages) {
  ClusterSettings settings = sample_settings();
  settings.image_pull_policy = "Always";
  const api::ImageBuild build = sample_build();
  const auto policy = [&](const build::Work& work) {
    return container_of(make_pod(build, sample_plan(), create(build, work), settings)).value("imagePullPolicy", "");
  };
  EXPECT_EQ(policy(kPrepareWork), "Always");
  EXPECT_EQ(policy(stage_work(kCheck)), "Always");
  EXPECT_EQ(policy(stage_work(kApp)), "IfNotPresent");
  settings.image_pull_policy.clear();
  EXPECT_EQ(policy(kPublishWork), "");
}

TEST(Pods, AStageRunsOnItsPlatformUnlessTheUserSaysOtherwise) {
  api::Plan plan = sample_plan();
  plan.stages[kDeps].platform = "linux/arm/v7";
  api::ImageBuild build = sample_build();
  const auto selector = [&](int stage) {
    return make_pod(build, plan, create(build, stage_work(stage)), sample_settings()).at("spec").at("nodeSelector");
  };
  EXPECT_EQ(selector(kDeps), (Json{{"kubernetes.io/os", "linux"}, {"kubernetes.io/arch", "arm"}}));
  EXPECT_EQ(selector(kBundle), (Json{{"kubernetes.io/os", "linux"}}));
  build.spec.stage_defaults.node_selector = {{"kubernetes.io/arch", "arm64"}, {"disk", "fast"}};
  EXPECT_EQ(selector(kDeps), (Json{{"kubernetes.io/os", "linux"}, {"kubernetes.io/arch", "arm64"}, {"disk", "fast"}}));
}

TEST(Pods, AStageHasTheProgramOfItsPlatformAndAComputedOneThatOfItsImage) {
  api::Plan plan = sample_plan();
  plan.stages[kDeps].platform = "linux/arm64";
  const api::ImageBuild build = sample_build();
  const auto program = [&](int stage) {
    return container_of(make_pod(build, plan, create(build, stage_work(stage)), sample_settings())).at("command").at(0);
  };
  EXPECT_EQ(program(kDeps), "/.imagebuild/bin/arm64/imagebuild-stage");
  EXPECT_EQ(program(kCheck), "/.imagebuild/bin/amd64/imagebuild-stage");
  EXPECT_EQ(program(kBundle), "/.imagebuild/bin/imagebuild-stage");
}

TEST(Pods, AStageForOnePlatformOfSeveralHasTheSettingsOfItsWrittenName) {
  api::Plan plan = sample_plan();
  plan.stages[kDeps].name = "deps (linux/amd64)";
  api::ImageBuild build = sample_build();
  api::StageSettings stage{.name = "deps", .pod = {}};
  stage.pod.node_selector = {{"disk", "fast"}};
  build.spec.stages = {stage};
  const Json pod = make_pod(build, plan, create(build, stage_work(kDeps)), sample_settings());
  EXPECT_EQ(pod.at("spec").at("nodeSelector").at("disk"), "fast");
}

TEST(Pods, StageDefaultsSayWherePrepareAndPublishMayRunButNotWhatTheyUse) {
  api::ImageBuild build = sample_build();
  api::PodSettings& defaults = build.spec.stage_defaults;
  defaults.resources.requests = {{"cpu", {"8"}}};
  defaults.node_selector = {{"pool", "ci"}};
  defaults.tolerations = {{.key = "ci", .op = "Exists"}};
  defaults.affinity.text = R"({"podAntiAffinity":{}})";
  defaults.runtime_class_name = "sandboxed";
  defaults.priority_class_name = "low";
  defaults.service_account_name = "builds";
  for (const build::Work& work : {kPrepareWork, kPublishWork}) {
    const Json pod = pod_of(build, work);
    const Json& spec = pod.at("spec");
    EXPECT_EQ(spec.at("nodeSelector").at("pool"), "ci");
    EXPECT_EQ(spec.at("tolerations"), Json::parse(R"([{"key":"ci","operator":"Exists"}])"));
    EXPECT_EQ(spec.at("affinity"), Json::parse(R"({"podAntiAffinity":{}})"));
    EXPECT_EQ(spec.at("priorityClassName"), "low");
    EXPECT_EQ(spec.at("serviceAccountName"), "builds");
    EXPECT_FALSE(spec.contains("runtimeClassName"));
    EXPECT_EQ(container_of(pod).at("resources"),
              Json::parse(R"({"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"memory":"1Gi"}})"));
  }
}

TEST(Pods, PrepareGoesWhereAnyStageWantsToBeIfTheVolumeIsForOneNode) {
  api::ImageBuild build = sample_build();
  api::StageSettings stage{.name = "app"};
  stage.pod.node_selector = {{"gpu", "yes"}};
  build.spec.stages = {stage};
  const auto selector = [&] { return pod_of(build, kPrepareWork).at("spec").at("nodeSelector"); };
  EXPECT_EQ(selector().value("gpu", ""), "yes");
  build.spec.artifacts.volume.access_modes = {"ReadWriteMany"};
  EXPECT_EQ(selector().value("gpu", ""), "");
  build.spec.artifacts = {.transport = api::Transport::kRegistry, .repository = "registry.example/cache"};
  EXPECT_EQ(selector().value("gpu", ""), "");
}

TEST(Pods, ImagePullSecretsAreOnEveryPod) {
  for (const PodCase& kind : pod_kinds()) {
    EXPECT_EQ(pod_of(sample_build(), kind.work).at("spec").at("imagePullSecrets"),
              Json::parse(R"([{"name":"pull-login"},{"name":"mirror-login"}])"))
        << kind.name;
    EXPECT_FALSE(pod_of(bare_build(), kind.work).at("spec").contains("imagePullSecrets")) << kind.name;
  }
}

TEST(Pods, TheKubeletsDeadlineComesAfterTheOperators) {
  struct Row {
    const char* timeout;
    int seconds;
  };
  for (const Row& row : {Row{"", 3660}, Row{"90m", 5460}, Row{"1500ms", 62}}) {
    api::ImageBuild build = sample_build();
    build.spec.timeout = row.timeout;
    EXPECT_EQ(pod_of(build, kPrepareWork).at("spec").at("activeDeadlineSeconds"), row.seconds) << row.timeout;
  }
}

TEST(Pods, ASourceInThisNamespaceIsMountedReadOnly) {
  api::ImageBuild build = bare_build();
  build.spec.source = {};
  build.spec.source.claim = api::ClaimSource{"sources"};
  const auto source_volume = [&] {
    const Json pod = pod_of(build, kPrepareWork);
    for (const Json& volume : pod.at("spec").at("volumes")) {
      if (volume.at("name") == "source") return volume;
    }
    return Json();
  };
  EXPECT_EQ(source_volume(),
            Json::parse(R"({"name":"source","persistentVolumeClaim":{"claimName":"sources","readOnly":true}})"));
  build.spec.source = {};
  build.spec.source.config_map = api::ConfigMapRef{"context"};
  EXPECT_EQ(source_volume(), Json::parse(R"({"name":"source","configMap":{"name":"context"}})"));
}

TEST(Pods, PinningAddsTheNodeToWhatMustHold) {
  const std::string demand = R"({"key":"metadata.name","operator":"In","values":["node-1"]})";
  const auto required = [](const std::string& terms) {
    return R"({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":)" + terms + "}}}";
  };
  struct Row {
    const char* name;
    std::string affinity;
    std::string pinned;
  };
  const Row rows[] = {
      {"nothing", "null", required("[{\"matchFields\":[" + demand + "]}]")},
      {"pod affinity is kept", R"({"podAffinity":{"a":1}})",
       R"({"podAffinity":{"a":1},)" + required("[{\"matchFields\":[" + demand + "]}]").substr(1)},
      {"every alternative gets it", required(R"([{"matchExpressions":[1]},{"matchFields":[2]}])"),
       required(R"([{"matchExpressions":[1],"matchFields":[)" + demand + R"(]},{"matchFields":[2,)" + demand + "]}]")},
      {"an alternative that never holds stays so", required(R"([{},{"matchExpressions":[1]}])"),
       required(R"([{},{"matchExpressions":[1],"matchFields":[)" + demand + "]}]")},
      {"no alternatives", required("[]"), required("[{\"matchFields\":[" + demand + "]}]")},
      {"malformed: as it is", R"({"nodeAffinity":"x"})", R"({"nodeAffinity":"x"})"},
      {"malformed terms: as they are", required(R"("x")"), required(R"("x")")},
      {"a list: as it is", "[]", "[]"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(pinned_to_node(Json::parse(row.affinity), "node-1"), Json::parse(row.pinned)) << row.name;
  }
}

TEST(Pods, WithoutANodeTheAffinityIsTheUsers) {
  EXPECT_FALSE(pod_of(sample_build(), stage_work(kApp)).at("spec").contains("affinity"));
  EXPECT_TRUE(pod_of(sample_build(), stage_work(kApp), "node-1").at("spec").contains("affinity"));
}

TEST(Labels, ValuesAreCutAndMended) {
  struct Row {
    std::string text;
    std::string value;
  };
  const Row rows[] = {
      {"app", "app"},
      {"my.app-1_x", "my.app-1_x"},
      {"", ""},
      {"-app-", "app"},
      {"a b/c", "a-b-c"},
      {std::string(80, 'a'), std::string(63, 'a')},
      {std::string(62, 'a') + ".b", std::string(62, 'a')},
  };
  for (const Row& row : rows) EXPECT_EQ(label_value(row.text), row.value) << row.text;
}

TEST(Labels, APodSaysWhichWorkItIs) {
  const Json labels = pod_labels(sample_build(), 3, stage_work(4), 2);
  EXPECT_EQ(labels, Json::parse(R"({"app.kubernetes.io/managed-by":"imagebuild","imagebuild.dev/build":"app",
      "imagebuild.dev/build-uid":"0b8d2c6e-1111-4222-8333-444455556666","imagebuild.dev/generation":"3",
      "imagebuild.dev/role":"stage","imagebuild.dev/stage":"4","imagebuild.dev/attempt":"2"})"));
  EXPECT_FALSE(pod_labels(sample_build(), 3, kPublishWork, 1).contains("imagebuild.dev/stage"));
}

TEST(Owners, TheOwnerOfEveryObjectIsItsImageBuild) {
  const api::ImageBuild build = sample_build();
  for (const Json& object : {pod_of(build, kPrepareWork), make_claim(build, {"claim", 1})}) {
    const auto owner = owner_of(object);
    ASSERT_TRUE(owner);
    EXPECT_EQ(owner->key.str(), "team/app");
    EXPECT_EQ(owner->uid, build.uid);
  }
}

TEST(Owners, OnlyAnImageBuildThatControlsIsOne) {
  struct Row {
    const char* name;
    const char* references;
  };
  const Row rows[] = {
      {"none", "null"},
      {"no list", "{}"},
      {"no controller", R"([{"apiVersion":"imagebuild.dev/v1alpha1","kind":"ImageBuild","name":"a","uid":"u"}])"},
      {"another group", R"([{"apiVersion":"v1","kind":"ImageBuild","name":"a","uid":"u","controller":true}])"},
      {"another kind", R"([{"apiVersion":"imagebuild.dev/v1","kind":"Other","name":"a","uid":"u","controller":true}])"},
      {"an odd controller",
       R"([{"apiVersion":"imagebuild.dev/v1","kind":"ImageBuild","name":"a","uid":"u","controller":"true"}])"},
  };
  for (const Row& row : rows) {
    const Json object = {{"metadata", {{"ownerReferences", Json::parse(row.references)}}}};
    EXPECT_FALSE(owner_of(object)) << row.name;
  }
}

}  // namespace
}  // namespace imagebuild::op
