// Where an image comes from: a registry, a layout folder or an archive. What reads images sees only this.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stream.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace imagebuild::oci {

// One image for one platform. The texts are the exact bytes that the digests are of.
struct ResolvedImage {
  Descriptor descriptor;  // Of the manifest.
  Manifest manifest;
  std::string manifest_json;
  ImageConfig config;  // One diff id for each layer of the manifest.
  std::string config_json;
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // The image for `wanted`. kNotFound if there is none; kUnsupported for what is not an image (a chart, an
  // attestation). What does not stand in an index is given whatever its platform: compare config.platform where it
  // matters.
  virtual Result<ResolvedImage> resolve(const Platform& wanted) = 0;
  // The content of a blob, cut off with kCorrupt when it is not what the descriptor says (see verified()). May be
  // called from several threads.
  virtual Result<std::unique_ptr<ByteSource>> open_blob(const Descriptor& blob) = 0;
};

// An image in an OCI layout: a folder, or a tar of one. `name` picks it by digest, by the name in its annotations, or
// by tag; empty: the only image. Without such an image resolve() returns kNotFound, which lists the names.
Result<std::unique_ptr<ImageSource>> open_oci_layout(const std::filesystem::path& folder, std::string name);
Result<std::unique_ptr<ImageSource>> open_oci_archive(const std::filesystem::path& file, std::string name);
// An image of a tar that "docker save" or one of its relatives wrote. `name` is one of its tags; empty: the only image.
// Its manifest is made up here: layers as they lie in the tar, uncompressed unless the writer compressed them.
Result<std::unique_ptr<ImageSource>> open_docker_archive(const std::filesystem::path& file, const std::string& name);

// The content of a small blob (a manifest, index or config), already verified.
using ReadBlob = std::function<Result<std::string>(const Descriptor&)>;
// What every source does once it knows the root: follows indexes to the manifest for `wanted`, reads the config, and
// checks that they belong together.
Result<ResolvedImage> resolve_image(const Descriptor& root, const Platform& wanted, const ReadBlob& read);
// The last step of it, for a caller that has both texts: parses and checks them.
Result<ResolvedImage> assemble_image(std::string manifest_json, std::string config_json);

// An image that is to be written to a layout or archive. The manifest and config are written as they are.
struct ImageContent {
  std::string manifest_json;
  std::string config_json;
  std::vector<Reference> names;  // May be empty. Digests in them are ignored.
  // Opens a layer of the manifest; called once or twice for each, in order. The writers verify what they read.
  std::function<Result<std::unique_ptr<ByteSource>>(const Descriptor&)> open_layer;
};

// The same for what may be an index of images for several platforms.
struct NamedContent {
  std::vector<Reference> names;
  std::string index_json;            // Empty: there is one image, and the names are its.
  std::vector<ImageContent> images;  // At least one; those of an index stand in it. Their own names do not count.
};

}  // namespace imagebuild::oci
