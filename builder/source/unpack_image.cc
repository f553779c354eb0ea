#include "builder/source/unpack_image.h"

#include <fcntl.h>

#include "archive/extract.h"
#include "base/file.h"
#include "builder/prepare/stoppable.h"
#include "oci/layer.h"
#include "oci/platform.h"

namespace imagebuild::builder {

Status unpack_image(const std::string& image, const OpenImage& open_image, const std::filesystem::path& folder,
                    const std::stop_token& stop) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return system_error(folder.string(), error.value());
  ASSIGN_OR_RETURN(const UniqueFd root, open_file(folder, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::ImageSource> source, open_image(image));
  ASSIGN_OR_RETURN(const oci::ResolvedImage resolved, source->resolve(oci::Platform::host()));
  archive::ExtractOptions options;
  options.keep_owners = false;
  for (std::size_t i = 0; i < resolved.manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = resolved.manifest.layers[i];
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> blob, source->open_blob(layer));
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> tar,
                     oci::open_layer(std::move(blob), layer.media_type, resolved.config.diff_ids[i]));
    tar = stoppable(std::move(tar), stop);
    RETURN_IF_ERROR(archive::extract(*tar, root.get(), options).in("image '" + image + "'"));
  }
  return ok();
}

}  // namespace imagebuild::builder
