#include "builder/prepare/base_index.h"

#include <utility>

#include "oci/layer.h"

namespace imagebuild::builder {

const std::vector<std::string>& base_index_content() {
  static const std::vector<std::string> kFiles = {"etc/passwd", "etc/group"};
  return kFiles;
}

Result<archive::TreeIndex> read_base_index(oci::ImageSource& image, const oci::Platform& platform) {
  ASSIGN_OR_RETURN(const oci::ResolvedImage resolved, image.resolve(platform));
  archive::TreeIndex index;
  for (std::size_t i = 0; i < resolved.manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = resolved.manifest.layers[i];
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> blob, image.open_blob(layer));
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> tar,
                     oci::open_layer(std::move(blob), layer.media_type, resolved.config.diff_ids[i]));
    RETURN_IF_ERROR(archive::apply_layer_to_index(*tar, base_index_content(), index).in(layer.digest.str()));
  }
  return index;
}

}  // namespace imagebuild::builder
