// The ImageBuild custom resource: its JSON as the API server sends it, and the status that goes back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/image_build_spec.h"
#include "api/image_build_status.h"
#include "base/clock.h"
#include "base/result.h"

namespace imagebuild::api {

inline constexpr const char* kGroup = "imagebuild.dev";
inline constexpr const char* kVersion = "v1alpha1";
inline constexpr const char* kKind = "ImageBuild";
inline constexpr const char* kPlural = "imagebuilds";

struct ImageBuild {
  std::string ns, name, uid;
  std::string resource_version;
  std::int64_t generation = 0;
  bool deleting = false;  // metadata.deletionTimestamp is set.
  WallTime created{};
  ImageBuildSpec spec;
  // Set when the spec has a member of the wrong type or an unknown word in it (an old server may let it pass): "spec…"
  // and what is wrong. `spec` is then not to be used.
  std::optional<Error> spec_error;
  // Tells builds apart: the digest of the spec's JSON without suspend, cancel and ttlSecondsAfterFinished, whose change
  // does not ask for another image.
  std::string spec_digest;
  ImageBuildStatus status;  // What cannot be read of it is left out: it is our own, and written anew.

  // Unknown members are ignored, for newer versions of the resource. kCorrupt for what is no ImageBuild.
  static Result<ImageBuild> parse(std::string_view json);
};

// The JSON of a status, members that say nothing left out; deterministic. The spec's is for tests and tools.
std::string status_json(const ImageBuildStatus& status);
std::string spec_json(const ImageBuildSpec& spec);

// Every field that this version reads or writes: "spec.source.git.url", "status.stages[].name", "spec.output.labels{}"
// for a map's values. Sorted. The drift tests compare them with the custom resource definition and the documentation.
std::vector<std::string> image_build_fields();

}  // namespace imagebuild::api
