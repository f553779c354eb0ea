// An ImageBuild and its plan that use all that goes into pods, for the tests of operator/pods.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "build/reconcile_names.h"
#include "operator/pods/pod.h"

namespace imagebuild::op {

inline constexpr std::int64_t kGeneration = 3;
// The stages of sample_plan().
enum SampleStage { kDeps, kApp, kBundle, kCheck, kFinal };

inline api::ImageBuild sample_build() {
  api::ImageBuild build;
  build.ns = "team";
  build.name = "app";
  build.uid = "0b8d2c6e-1111-4222-8333-444455556666";
  build.generation = kGeneration;
  api::ImageBuildSpec& spec = build.spec;
  spec.source.git = api::GitSource{.url = "https://git.example/app.git", .secret = api::SecretRef{"git-login"}};
  spec.output.image = "registry.example/team/app:1";
  spec.output.push_secret = api::SecretRef{"push-login"};
  spec.image_pull_secrets = {{"pull-login"}, {"mirror-login"}};
  spec.secrets = {{"npm", {"tokens", "npm-token"}}, {"unused", {"other", "key"}}, {"pip", {"tokens", "pip.conf"}}};
  return build;
}

// An ImageBuild that says no more than it must.
inline api::ImageBuild bare_build() {
  api::ImageBuild build = sample_build();
  build.spec = {};
  build.spec.source.inline_files = api::InlineSource{{{"Dockerfile", "FROM scratch"}}};
  build.spec.output.image = "registry.example/team/app:1";
  return build;
}

inline api::Step run(const std::string& line, const std::vector<std::string>& secrets = {}) {
  api::RunStep step{.argv = {"/bin/sh", "-c", line}, .working_dir = "/"};
  for (const std::string& id : secrets) step.secrets.push_back({.id = id});
  return {.at = {2, 1}, .text = "RUN " + line, .created_by = line, .action = step};
}

// deps ← app ← bundle (computed) ← check (on scratch) ← final (computed).
inline api::Plan sample_plan() {
  api::Plan plan;
  plan.dockerfile = "Dockerfile";
  plan.images = {{.name = "debian:12",
                  .reference = "docker.io/library/debian:12@sha256:" + std::string(64, 'a'),
                  .digest = "sha256:" + std::string(64, 'a')}};
  const auto add = [&](const char* name, api::StageBase base, std::vector<api::Step> steps, std::vector<int> needs) {
    api::PlanStage stage{.name = name, .base = base, .platform = "linux/amd64"};
    stage.needs_container = !steps.empty();
    stage.steps = std::move(steps);
    stage.needs = std::move(needs);
    plan.stages.push_back(std::move(stage));
  };
  add("deps", api::OnImage{0}, {run("install")}, {});
  add("app", api::OnStage{kDeps}, {run("make", {"pip", "npm", "absent"})}, {kDeps});
  add("bundle", api::Scratch{}, {}, {kApp});
  add("check", api::Scratch{}, {run("/check")}, {kBundle});
  add("final", api::Scratch{}, {}, {kCheck});
  plan.targets = {{kFinal, "linux/amd64", ""}};
  return plan;
}

inline ClusterSettings sample_settings() {
  ClusterSettings settings;
  settings.builder_image = "registry.example/imagebuild/builder:1";
  settings.stage_image = "registry.example/imagebuild/stage:1";
  settings.image_pull_policy = "IfNotPresent";
  settings.builder_resources.requests = {{"cpu", {"100m"}}, {"memory", {"128Mi"}}};
  settings.builder_resources.limits = {{"memory", {"1Gi"}}};
  settings.registries = "registries: {}\n";
  settings.report_base_url = "http://10.0.0.7:8081";
  settings.sign = [](const std::string& path) { return "signed:" + path; };
  return settings;
}

inline build::CreatePod create(const api::ImageBuild& build, build::Work work, const std::string& node = "") {
  return {.name = build::pod_name(build, kGeneration, work, 1),
          .generation = kGeneration,
          .work = work,
          .attempt = 1,
          .node = node};
}
inline const build::Work kPrepareWork{build::PodRole::kPrepare, 0}, kPublishWork{build::PodRole::kPublish, 0},
    kKeepWork{build::PodRole::kKeep, 0};
inline build::Work stage_work(int stage) {
  return {build::PodRole::kStage, stage};
}

// The pod of one piece of work, with the sample's plan and settings.
inline kube::Json pod_of(const api::ImageBuild& build, build::Work work, const std::string& node = "") {
  return make_pod(build, sample_plan(), create(build, work, node), sample_settings());
}

inline const kube::Json& container_of(const kube::Json& pod) {
  return pod.at("spec").at("containers").at(0);
}

// An ImageBuild that gives the Dockerfile all that its language asks for, and a stage that asks.
inline api::ImageBuild language_build() {
  api::ImageBuild build = bare_build();
  api::ImageBuildSpec& spec = build.spec;
  spec.platforms = {"linux/arm64"};
  spec.contexts.resize(4);
  spec.contexts[0] = {.name = "alpine", .image = "registry.example/alpine:3", .files = {}};
  spec.contexts[1].name = "assets";
  spec.contexts[1].files.config_map = api::ConfigMapRef{"assets"};
  spec.contexts[2].name = "lib";
  spec.contexts[2].files.git = api::GitSource{.url = "https://git.example/lib", .secret = api::SecretRef{"git-login"}};
  spec.contexts[3].name = "data";
  spec.contexts[3].files.claim = api::ClaimSource{"data"};
  spec.ssh = {{"", {"keys", "id_ed25519"}}, {"unused", {"other", "key"}}, {"github", {"keys", "github"}}};
  spec.cache_mounts.claim = api::ClaimSource{"caches"};
  spec.extra_hosts = {{"10.0.0.1", {"proxy", "mirror.example"}}};
  spec.shm_size = {"1Gi"};
  return build;
}
inline api::Plan language_plan() {
  api::Plan plan = sample_plan();
  plan.trees.resize(3);
  api::PlanStage& stage = plan.stages[kDeps];
  stage.platform = "linux/arm64";
  auto& step = std::get<api::RunStep>(stage.steps[0].action);
  step.mounts = {api::CacheMount{.id = "pip", .target = "/cache"},
                 api::BindMount{.from = api::FromTree{2}, .source = "", .target = "/lib"},
                 api::SshMount{.id = "github", .target = "/ssh", .required = true},
                 api::SshMount{.id = "absent", .target = "/ssh2"},
                 api::CacheMount{.id = "apt", .target = "/var/cache", .from = api::FromTree{0}, .source = ""}};
  return plan;
}

// The pod of the stage that asks for all.
inline kube::Json language_pod(const api::ImageBuild& build) {
  return make_pod(build, language_plan(), create(build, stage_work(kDeps)), sample_settings());
}

// One pod of each kind, by a name for it.
struct PodCase {
  const char* name;
  build::Work work;
};
inline const std::vector<PodCase>& pod_kinds() {
  static const std::vector<PodCase> kKinds = {{"prepare", kPrepareWork},
                                              {"stage_on_image", stage_work(kDeps)},
                                              {"stage_on_stage", stage_work(kApp)},
                                              {"stage_computed", stage_work(kBundle)},
                                              {"stage_on_scratch", stage_work(kCheck)},
                                              {"publish", kPublishWork},
                                              {"keep", kKeepWork}};
  return kKinds;
}

}  // namespace imagebuild::op
