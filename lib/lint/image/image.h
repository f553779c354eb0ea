// Checks of a built image: what its own layers hold that it should not, in bytes. Pure; a build calls it at its end.
// The layers of the base image are not looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/warning.h"
#include "archive/tree_index.h"

namespace imagebuild::lint {

// In a layer's index, files of at least so many bytes have this extended attribute: equal for equal contents, and most
// likely different for others. It is in no image.
inline constexpr const char* kFingerprint = "imagebuild.fingerprint";
inline constexpr std::uint64_t kFingerprintFromBytes = 1U << 20;

// One layer that the build made.
struct ImageLayer {
  api::SourceLine at;
  std::string script;  // What RUN executes; empty for every other instruction.
  archive::TreeIndex
      index;  // Its entries; removals are files ".wh.NAME" and ".wh..wh..opq" (OCI image-spec, layer.md).
  std::vector<std::string> private_keys;  // LayerReport::private_keys
};

struct ImageInput {
  std::vector<ImageLayer> layers;  // From the bottom up; one may be missing.
  std::uint64_t total_bytes = 0;   // Content of the image's root file system, the base's included; 0: not known.
  std::string stage;               // The target's name.
  std::vector<api::SkippedRule> skipped;
};

// BuildToolsInFinalStage, PackageCacheInImage, DeletedInLaterLayer, SameFileInTwoLayers, SecretInImage; sorted by
// place.
std::vector<api::Warning> check_image(const ImageInput& input);

// "412 MB", "1.4 MB", "2.3 GB": powers of ten.
std::string size_text(std::uint64_t bytes);

}  // namespace imagebuild::lint
