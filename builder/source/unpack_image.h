// The file system of an image as a folder.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "builder/prepare/prepare.h"

namespace imagebuild::builder {

// Applies the layers of the image for this machine's platform below `folder`, made if need be. Everything belongs to
// the caller, as in every context.
Status unpack_image(const std::string& image, const OpenImage& open_image, const std::filesystem::path& folder,
                    const std::stop_token& stop);

}  // namespace imagebuild::builder
