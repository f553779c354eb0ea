// The checks of check_image(), each by itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lint/image/image.h"

namespace imagebuild::lint {

// What is smaller than this, taken together, is not worth a word.
inline constexpr std::uint64_t kWorthBytes = 1'000'000;

using Warnings = std::vector<api::Warning>;

// BuildToolsInFinalStage
void check_installed_tools(const ImageInput& input, Warnings& warnings);
// PackageCacheInImage
void check_package_caches(const ImageInput& input, Warnings& warnings);
// DeletedInLaterLayer, SameFileInTwoLayers
void check_stored_twice(const ImageInput& input, Warnings& warnings);
// SecretInImage
void check_private_keys(const ImageInput& input, Warnings& warnings);

// "/etc/key", as a message shows it: bytes that would disturb a terminal become '?'.
std::string shown_path(std::string_view path);
// "12 MB of 80 MB", or "12 MB" where the whole is not known.
std::string share_text(std::uint64_t bytes, const ImageInput& input);

}  // namespace imagebuild::lint
