// The base index of an image: what its layers hold, without content, for stages that are computed without unpacking it.
#pragma once

#include <filesystem>

#include "api/plan.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "builder/prepare/prepare.h"
#include "oci/image_source.h"

namespace imagebuild::builder {

// The files whose content the index keeps: etc/passwd and etc/group.
const std::vector<std::string>& base_index_content();

// Streams every layer of the image for that platform once, keeping nothing on disk.
Result<archive::TreeIndex> read_base_index(oci::ImageSource& image, const oci::Platform& platform);

// That of the plan's image with this number, to its place on the volume, unless it is there.
Status write_base_index(const api::Plan& plan, int image, const OpenImage& open_image,
                        const std::filesystem::path& volume);
// The index of each image of the plan, to the volume.
Status write_base_indexes(const api::Plan& plan, const OpenImage& open_image, const std::filesystem::path& volume);

}  // namespace imagebuild::builder
