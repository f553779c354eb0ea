// The volumes of a pod and where its container sees them: each pod sees what its work needs, and nothing else.
#pragma once

#include <string>

#include "api/image_build.h"
#include "api/plan.h"
#include "build/reconcile.h"
#include "kube/resource.h"

namespace imagebuild::op {

struct Mounts {
  kube::Json volumes = kube::Json::array();  // PodSpec.volumes
  kube::Json mounts = kube::Json::array();   // Container.volumeMounts
};

// Where the job of a builder's pod lies.
enum class JobPlace { kAnnotations, kAnnotationsWithRegistries, kRecord };

// The whole artifact volume, the job, the source, the named contexts and their Secrets, the credentials to pull with,
// /tmp.
Mounts prepare_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place);
// Parts of the artifact volume: of other stages, those that it needs or is built on. The secrets and SSH
// keys that its RUN steps name and the spec has, and their caches.
Mounts stage_mounts(const api::ImageBuild& build, const api::Plan& plan, const build::CreatePod& create);
// The whole artifact volume, the job, the credentials to push and pull with, /tmp.
Mounts publish_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place);
// Of PodRole::kKeep. The same, but credentials only for the cache.
Mounts keep_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place);
// What publish sees, for the containers that move artifacts before and beside a stage's, which sees none of it. The
// volumes are those besides stage_mounts().
Mounts transfer_mounts(const api::ImageBuild& build, const build::CreatePod& create, JobPlace place);

}  // namespace imagebuild::op
