// Brings base images into the store: fetched, verified, decompressed, unpacked and indexed in one stream per layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "cli/store.h"
#include "oci/image_source.h"

namespace imagebuild::cli {

struct BaseImageFiles {
  std::vector<std::filesystem::path> layers;  // Unpacked, from the bottom up; empty when only the index was wanted.
  std::filesystem::path index;                // Empty for an image without layers.
};

struct FetchRequest {
  const oci::ResolvedImage* image = nullptr;
  bool unpack = true;  // Otherwise only the index is made and nothing of the image is kept.
  // How much has come of how much there is, in bytes of compressed layers; from several threads. May be empty.
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_bytes;
};

// Layers come in parallel (the one whose turn it is through memory, others through nameless files in the store), the
// next one is decompressed while one is unpacked, and they are unpacked in order. What the store has is not fetched
// again. Unpacking needs root; an index alone does not.
Result<BaseImageFiles> fetch_base_image(const Store& store, oci::ImageSource& source, const FetchRequest& request,
                                        const std::stop_token& stop);

}  // namespace imagebuild::cli
