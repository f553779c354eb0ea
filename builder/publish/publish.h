// From finished stages to an image: assembles config and manifest and delivers them to every output.
#pragma once

#include <filesystem>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/result.h"
#include "builder/prepare/prepare.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace imagebuild::registry {
class Client;
}

namespace imagebuild::builder {

struct Output {
  enum class Kind { kRegistry, kOciLayout, kOciArchive, kDockerArchive };
  Kind kind = Kind::kRegistry;
  std::filesystem::path destination;  // Folder or file; empty for a registry.
};

struct PublishRequest {
  std::filesystem::path volume;
  std::vector<api::StageReport> reports;           // One a stage of the plan, in plan order.
  std::vector<oci::Reference> tags;                // Where a registry output pushes; names inside the other outputs.
  std::vector<Output> outputs;                     // Empty: the image is only assembled.
  std::map<std::string, std::string> annotations;  // Of the manifest.
};

// One layer of the image, from the bottom up.
struct ImageLayer {
  oci::Descriptor blob;      // As the image's manifest names it.
  std::string file;          // Relative to the volume, for a layer of this build; empty for one of the base.
  oci::Descriptor original;  // As the base's manifest names it; the same blob, perhaps by another media type.
};

struct Published {
  oci::Manifest manifest;
  std::string manifest_json;
  std::vector<ImageLayer> layers;
  oci::Descriptor descriptor;  // Of the manifest: what the image's digest is.
  std::string config_json;
  std::uint64_t base_bytes = 0;  // Compressed layers that come from the base image.
  std::uint64_t new_bytes = 0;   // Compressed layers that this build made.
};

// Pure: the manifest and config of the plan's target.
Result<Published> assemble(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                           const std::map<std::string, std::string>& annotations = {});

// Delivers to all outputs; the blobs of base images come from `open_image` or, within one registry, by mount. An output
// appears whole or not at all.
Result<Published> publish(const api::Plan& plan, const PublishRequest& request, const OpenImage& open_image,
                          registry::Client& client, std::stop_token stop = {});

}  // namespace imagebuild::builder
