// What every object of a build carries: labels to select it by, and the ownerReference by which it goes with its
// ImageBuild.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/image_build.h"
#include "build/reconcile_state.h"
#include "kube/resource.h"

namespace imagebuild::op {

namespace label {
inline constexpr const char* kManagedBy = "app.kubernetes.io/managed-by";
inline constexpr const char* kBuild = "imagebuild.dev/build";         // The ImageBuild's name, cut to a label's value.
inline constexpr const char* kBuildUid = "imagebuild.dev/build-uid";  // Which objects belong to a build goes by this.
inline constexpr const char* kGeneration = "imagebuild.dev/generation";  // BuildIdentity::generation.
inline constexpr const char* kRole = "imagebuild.dev/role";              // Pods: prepare, stage, publish, keep.
inline constexpr const char* kStage = "imagebuild.dev/stage";            // Stage pods: the index into Plan::stages.
inline constexpr const char* kAttempt = "imagebuild.dev/attempt";        // Pods.
inline constexpr const char* kManager = "imagebuild";                    // The value of kManagedBy.
}  // namespace label

// Where artifacts move through a registry, the stage's container stands between these two: an init container before it,
// and one beside it that ends after it.
inline constexpr const char* kFetchContainer = "fetch";
inline constexpr const char* kStoreContainer = "store";

// Stage pods: the stage's name, which may hold what a label may not.
inline constexpr const char* kStageNameAnnotation = "imagebuild.dev/stage-name";
// Pods of the builder: what job_text() gives, which they see as files.
inline constexpr const char* kJobAnnotation = "imagebuild.dev/job";
inline constexpr const char* kRegistriesAnnotation = "imagebuild.dev/registries";

// "app.kubernetes.io/managed-by=imagebuild": selects all that operators made.
std::string managed_selector();
// The same for one ImageBuild, by its UID.
std::string build_selector(std::string_view uid);

// "prepare", "stage", "publish", "keep": the value of kRole, and the name of the pod's container.
std::string role_name(build::PodRole role);
std::optional<build::PodRole> parse_role(std::string_view text);

// `text` as a label's value: at most 63 characters of [A-Za-z0-9._-] that begin and end with a letter or digit; what
// does not fit is cut or becomes "-".
std::string label_value(std::string_view text);

// The labels of every object of the build of that generation, and those of a pod.
kube::Json labels(const api::ImageBuild& build, std::int64_t generation);
kube::Json pod_labels(const api::ImageBuild& build, std::int64_t generation, const build::Work& work, int attempt);

// A controller's reference that does not keep the ImageBuild from being deleted before its objects.
kube::Json owner_reference(const api::ImageBuild& build);

// name, namespace, labels and ownerReferences.
kube::Json object_metadata(const api::ImageBuild& build, const std::string& name, kube::Json labels);

// The ImageBuild that controls the object, if one does.
struct Owner {
  kube::ObjectKey key;
  std::string uid;
};
std::optional<Owner> owner_of(const kube::Json& object);

}  // namespace imagebuild::op
