#include "operator/pods/metadata.h"

namespace imagebuild::op {

namespace {

constexpr std::size_t kMaxLabelValue = 63;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string api_version() {
  return std::string(api::kGroup) + "/" + api::kVersion;
}

}  // namespace

std::string managed_selector() {
  return std::string(label::kManagedBy) + "=" + label::kManager;
}

std::string build_selector(std::string_view uid) {
  return managed_selector() + "," + label::kBuildUid + "=" + std::string(uid);
}

std::string role_name(build::PodRole role) {
  switch (role) {
    case build::PodRole::kPrepare:
      return "prepare";
    case build::PodRole::kStage:
      return "stage";
    case build::PodRole::kPublish:
      return "publish";
    case build::PodRole::kKeep:
      return "keep";
  }
  return {};
}

std::optional<build::PodRole> parse_role(std::string_view text) {
  for (const build::PodRole role :
       {build::PodRole::kPrepare, build::PodRole::kStage, build::PodRole::kPublish, build::PodRole::kKeep}) {
    if (role_name(role) == text) return role;
  }
  return {};
}

std::string label_value(std::string_view text) {
  std::string value;
  for (const char c : text) {
    const bool allowed = is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
    if (value.empty() && !is_alphanumeric(c)) continue;
    value += allowed ? c : '-';
    if (value.size() == kMaxLabelValue) break;
  }
  while (!value.empty() && !is_alphanumeric(value.back())) value.pop_back();
  return value;
}

kube::Json labels(const api::ImageBuild& build, std::int64_t generation) {
  return {{label::kManagedBy, label::kManager},
          {label::kBuild, label_value(build.name)},
          {label::kBuildUid, build.uid},
          {label::kGeneration, std::to_string(generation)}};
}

kube::Json pod_labels(const api::ImageBuild& build, std::int64_t generation, const build::Work& work, int attempt) {
  kube::Json result = labels(build, generation);
  result[label::kRole] = role_name(work.role);
  result[label::kAttempt] = std::to_string(attempt);
  if (work.role == build::PodRole::kStage) result[label::kStage] = std::to_string(work.stage);
  return result;
}

kube::Json owner_reference(const api::ImageBuild& build) {
  return {{"apiVersion", api_version()}, {"kind", api::kKind},         {"name", build.name}, {"uid", build.uid},
          {"controller", true},          {"blockOwnerDeletion", false}};
}

kube::Json object_metadata(const api::ImageBuild& build, const std::string& name, kube::Json labels) {
  return {{"name", name},
          {"namespace", build.ns},
          {"labels", std::move(labels)},
          {"ownerReferences", kube::Json::array({owner_reference(build)})}};
}

std::optional<Owner> owner_of(const kube::Json& object) {
  const kube::Json& references = kube::at(object, {"metadata", "ownerReferences"});
  if (!references.is_array()) return {};
  for (const kube::Json& reference : references) {
    const kube::Json& controller = kube::at(reference, {"controller"});
    const std::string version = kube::text_at(reference, {"apiVersion"});
    // Any version of our group: objects may be older than the operator.
    const bool ours = version.starts_with(std::string(api::kGroup) + "/");
    if (!controller.is_boolean() || !controller.get<bool>() || !ours) continue;
    if (kube::text_at(reference, {"kind"}) != api::kKind) continue;
    return Owner{{kube::text_at(object, {"metadata", "namespace"}), kube::text_at(reference, {"name"})},
                 kube::text_at(reference, {"uid"})};
  }
  return {};
}

}  // namespace imagebuild::op
