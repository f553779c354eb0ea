#include "oci/image_source.h"

namespace imagebuild::oci {

namespace {

constexpr int kMaxNestedIndexes = 4;

Error unsupported(std::string message) {
  return Error{ErrorCode::kUnsupported, std::move(message)};
}

}  // namespace

Result<ResolvedImage> assemble_image(std::string manifest_json, std::string config_json) {
  ASSIGN_OR_RETURN(Manifest manifest, Manifest::parse(manifest_json));
  if (!media_type::is_config(manifest.config.media_type)) {
    return unsupported("this is not a container image: its config has the media type '" + manifest.config.media_type +
                       "'");
  }
  ASSIGN_OR_RETURN(ImageConfig config, ImageConfig::parse(config_json));
  if (config.diff_ids.size() != manifest.layers.size()) {
    return Error{ErrorCode::kCorrupt, "the manifest lists " + std::to_string(manifest.layers.size()) +
                                          " layers but the config " + std::to_string(config.diff_ids.size())};
  }
  Descriptor descriptor{.media_type = manifest.media_type,
                        .digest = Digest::of(manifest_json),
                        .size_bytes = manifest_json.size(),
                        .platform = config.platform};
  return ResolvedImage{.descriptor = std::move(descriptor),
                       .manifest = std::move(manifest),
                       .manifest_json = std::move(manifest_json),
                       .config = std::move(config),
                       .config_json = std::move(config_json)};
}

Result<ResolvedImage> resolve_image(const Descriptor& root, const Platform& wanted, const ReadBlob& read) {
  Descriptor at = root;
  for (int depth = 0; media_type::is_index(at.media_type); ++depth) {
    if (depth == kMaxNestedIndexes)
      return unsupported("indexes are nested more than " + std::to_string(kMaxNestedIndexes) + " deep");
    ASSIGN_OR_RETURN(const std::string text, read(at));
    ASSIGN_OR_RETURN(const Index index, Index::parse(text).in("index " + at.digest.str()));
    ASSIGN_OR_RETURN(at, index.choose(wanted));
  }
  if (!media_type::is_manifest(at.media_type)) {
    return unsupported("this is not a container image: its media type is '" + at.media_type + "'");
  }
  const std::string where = "manifest " + at.digest.str();
  ASSIGN_OR_RETURN(std::string manifest_json, read(at));
  ASSIGN_OR_RETURN(const Manifest manifest, Manifest::parse(manifest_json).in(where));
  if (!media_type::is_config(manifest.config.media_type)) {
    return unsupported("this is not a container image: its config has the media type '" + manifest.config.media_type +
                       "'");
  }
  ASSIGN_OR_RETURN(std::string config_json, read(manifest.config));
  return assemble_image(std::move(manifest_json), std::move(config_json)).in(where);
}

}  // namespace imagebuild::oci
