// From a reference to the one image that fits a platform.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "oci/manifest.h"
#include "oci/platform.h"
#include "registry/client.h"

namespace imagebuild::registry {

// An image as the registry describes it; its layers are not read yet.
struct PulledImage {
  oci::Reference reference;  // As asked for, pinned to `descriptor`'s digest.
  oci::Digest top;           // What the name itself stands for: the index's digest, or the manifest's.
  oci::Descriptor descriptor;
  std::string manifest_bytes;
  oci::Manifest manifest;
  std::string config_bytes;
  oci::ImageConfig config;
};

// Resolves `reference`, chooses the manifest for `platform` if it is an index (nested once), and reads the config.
// An image of another platform that is not in an index is returned as it is: compare config.platform.
Result<PulledImage> pull_image(Client& client, const oci::Reference& reference, const oci::Platform& platform,
                               std::stop_token stop = {});

}  // namespace imagebuild::registry
