#include "operator/pods/claim.h"

#include "operator/pods/metadata.h"

namespace imagebuild::op {

kube::Json make_claim(const api::ImageBuild& build, const build::CreateClaim& create) {
  const api::ArtifactVolume& volume = build.spec.artifacts.volume;
  const std::string size = volume.size.text.empty() ? api::kDefaultArtifactSize : volume.size.text;
  kube::Json modes = kube::Json::array();
  for (const std::string& mode : volume.access_modes) modes.push_back(mode);
  if (modes.empty()) modes.push_back(api::kDefaultAccessMode);
  kube::Json spec = {{"accessModes", std::move(modes)},
                     {"volumeMode", "Filesystem"},
                     {"resources", {{"requests", {{"storage", size}}}}}};
  if (!volume.storage_class_name.empty()) spec["storageClassName"] = volume.storage_class_name;
  return {{"apiVersion", "v1"},
          {"kind", "PersistentVolumeClaim"},
          {"metadata", object_metadata(build, create.name, labels(build, create.generation))},
          {"spec", std::move(spec)}};
}

}  // namespace imagebuild::op
