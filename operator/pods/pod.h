// The pods of a build, from the spec and the plan. Pure: the same input gives the same pod. All are admitted where
// PodSecurity enforces `baseline`; what each may see is in docs/life-of-a-build.md.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/image_build.h"
#include "api/plan.h"
#include "build/reconcile.h"
#include "kube/resource.h"

namespace imagebuild::op {

// What the operator was started with, as far as it goes into pods.
struct ClusterSettings {
  std::string builder_image;      // Of prepare and publish.
  std::string stage_image;        // Of stages whose container has no image of its own: scratch, and computed ones.
  std::string image_pull_policy;  // Of both: "IfNotPresent", "Always", "Never"; empty: Kubernetes' default.
  api::ResourceNeeds builder_resources;  // Of prepare and publish.
  std::string registries;                // The operator's registries file; empty: none.
  std::string report_base_url;           // "http://10.0.0.7:8081"; empty: pods do not report.
  // The token for a report's path. Must be there when report_base_url is.
  std::function<std::string(const std::string& path)> sign;
};

// "/v1/reports/<namespace>/<imagebuild>/<uid>/<pod name>"
std::string report_path(const api::ImageBuild& build, const std::string& pod_name);

// `plan` is needed for a stage's pod, and has that stage; the process ends otherwise.
kube::Json make_pod(const api::ImageBuild& build, const std::optional<api::Plan>& plan, const build::CreatePod& create,
                    const ClusterSettings& settings);

}  // namespace imagebuild::op
