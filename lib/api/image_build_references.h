// What a spec needs to exist in its namespace (or, for a StorageClass, in the cluster) before pods can run.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "api/image_build_spec.h"

namespace imagebuild::api {

struct Reference {
  enum class Kind { kSecret, kConfigMap, kClaim, kStorageClass };
  Kind kind = Kind::kSecret;
  std::string name;  // Empty, for a StorageClass only: the cluster's default one.
  std::string key;   // That it must have; empty: none in particular.
  auto operator<=>(const Reference&) const = default;
};

// Sorted, each once. Service accounts are not in it: their absence is a refusal of the pod.
std::vector<Reference> references(const ImageBuildSpec& spec);

}  // namespace imagebuild::api
