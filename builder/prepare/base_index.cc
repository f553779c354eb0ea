#include "builder/prepare/base_index.h"

#include <utility>

#include "api/volume.h"
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

Status write_base_index(const api::Plan& plan, int image, const OpenImage& open_image,
                        const std::filesystem::path& volume) {
  const std::filesystem::path file = volume / api::volume::base_index(image);
  std::error_code error;
  if (std::filesystem::exists(file, error)) return ok();
  const api::BaseImage& base = plan.images[static_cast<std::size_t>(image)];
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::ImageSource> source, open_image(base.reference));
  const std::string where = "image '" + base.name + "'";
  const Result<oci::ImageConfig> config = oci::ImageConfig::parse(base.config_json);
  if (!config.ok()) return config.error().in(where);
  const Result<archive::TreeIndex> index = read_base_index(*source, config->platform);
  if (!index.ok()) return index.error().in(where);
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) return system_error(file.parent_path().string(), error.value());
  return index->save(file);
}

Status write_base_indexes(const api::Plan& plan, const OpenImage& open_image, const std::filesystem::path& volume) {
  for (std::size_t i = 0; i < plan.images.size(); ++i) {
    RETURN_IF_ERROR(write_base_index(plan, static_cast<int>(i), open_image, volume));
  }
  return ok();
}

}  // namespace imagebuild::builder
