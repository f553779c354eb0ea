#include "registry/pull.h"

namespace imagebuild::registry {
namespace {

bool is_index(const oci::Descriptor& descriptor) {
  return descriptor.media_type == oci::media_type::kOciIndex || descriptor.media_type == oci::media_type::kDockerIndex;
}

}  // namespace

Result<PulledImage> pull_image(Client& client, const oci::Reference& reference, const oci::Platform& platform,
                               std::stop_token stop) {
  const std::string where = "image '" + reference.familiar() + "'";
  ASSIGN_OR_RETURN(ManifestContent content, client.manifest(reference, stop));
  const oci::Digest top = content.descriptor.digest;
  for (int depth = 0; is_index(content.descriptor); ++depth) {
    if (depth == 2) return Error{ErrorCode::kUnsupported, where + ": an index inside an index inside an index"};
    auto index = oci::Index::parse(content.bytes);
    if (!index.ok()) return index.error().in(where);
    auto chosen = index->choose(platform);
    if (!chosen.ok()) return chosen.error().in(where);
    ASSIGN_OR_RETURN(content, client.manifest(reference.with_digest(chosen->digest), stop));
  }
  auto manifest = oci::Manifest::parse(content.bytes);
  if (!manifest.ok()) return manifest.error().in(where);
  auto config_bytes = client.blob_text(reference, manifest->config, oci::kMaxManifestBytes, stop);
  if (!config_bytes.ok()) return config_bytes.error().in(where);
  auto config = oci::ImageConfig::parse(*config_bytes);
  if (!config.ok()) return config.error().in(where);
  return PulledImage{.reference = reference.with_digest(content.descriptor.digest),
                     .top = top,
                     .descriptor = content.descriptor,
                     .manifest_bytes = content.bytes,
                     .manifest = std::move(manifest).value(),
                     .config_bytes = std::move(config_bytes).value(),
                     .config = std::move(config).value()};
}

}  // namespace imagebuild::registry
