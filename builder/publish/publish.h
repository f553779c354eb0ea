// From finished stages to images: assembles configs, manifests and indexes, and delivers them to every output.
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

// The names of each image, by PlanTarget::name: where a registry output pushes it, and what it is called elsewhere.
using TargetTags = std::map<std::string, std::vector<oci::Reference>>;

struct PublishRequest {
  std::filesystem::path volume;
  std::vector<api::StageReport> reports;  // One a stage of the plan, in plan order.
  TargetTags tags;
  std::vector<Output> outputs;                     // Empty: the images are only assembled.
  std::map<std::string, std::string> annotations;  // Of every manifest and index.
};

// One layer of the image, from the bottom up.
struct ImageLayer {
  oci::Descriptor blob;      // As the image's manifest names it.
  std::string file;          // Relative to the volume, for a layer of this build; empty for one of the base.
  oci::Descriptor original;  // As the base's manifest names it; the same blob, perhaps by another media type.
};

// An image for one platform.
struct PlatformImage {
  int stage = 0;                                 // Index into Plan::stages.
  oci::Platform wanted = oci::Platform::host();  // The platform it stands for in an index.
  oci::Manifest manifest;
  std::string manifest_json;
  std::vector<ImageLayer> layers;
  oci::Descriptor descriptor;  // Of the manifest.
  std::string config_json;
};

// What one target became: an image, or an index of one for each platform.
struct Published {
  std::string target;                    // PlanTarget::name
  std::vector<PlatformImage> platforms;  // At least one, in the plan's order.
  std::string index_json;                // Empty for one platform: then there is no index.
  oci::Descriptor descriptor;            // Of the index, else of the manifest: what the image's digest is.
  // Compressed layers that come from base images and that this build made; those of several platforms count once.
  std::uint64_t base_bytes = 0;
  std::uint64_t new_bytes = 0;
  std::vector<api::Warning> warnings;  // What the checks of the image found (image_checks.h); assemble() does none.

  bool is_index() const { return !index_json.empty(); }
  // Everything that a registry stores of it but manifests and index: configs and layers.
  std::uint64_t size_bytes() const;
  std::size_t layer_count() const;  // Of one platform all, of several each once.
};

// Pure: config and manifest of each of the plan's targets, and an index for those of several platforms.
Result<std::vector<Published>> assemble(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                                        const std::map<std::string, std::string>& annotations = {});

// Whether the outputs can hold what the plan makes: a Docker archive has one image for one platform.
Status check_outputs(const api::Plan& plan, const std::vector<Output>& outputs);

// Delivers to all outputs; the blobs of base images come from `open_image` or, within one registry, by mount. An output
// appears whole or not at all.
Result<std::vector<Published>> publish(const api::Plan& plan, const PublishRequest& request,
                                       const OpenImage& open_image, registry::Client& client,
                                       std::stop_token stop = {});

}  // namespace imagebuild::builder
