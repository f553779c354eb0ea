// The base images of one build: fetched side by side from the start, each waited for by the stages that need it.
#pragma once

#include <filesystem>
#include <future>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "builder/prepare/prepare.h"
#include "cli/base_images.h"
#include "cli/progress.h"

namespace imagebuild::cli {

// The images whose files some container of the plan needs; of the others an index is enough. Pure.
std::set<int> images_to_unpack(const api::Plan& plan);

class ImagePool {
 public:
  // Starts fetching. Everything given must outlive the pool. Indexes are put on the volume as they come.
  ImagePool(const Store& store, const api::Plan& plan, const builder::OpenImage& open_image,
            std::filesystem::path volume, Progress& progress);
  // Stops what is still under way.
  ~ImagePool();
  ImagePool(const ImagePool&) = delete;
  ImagePool& operator=(const ImagePool&) = delete;

  // Waits for an image (an index into Plan::images): its unpacked layers. kCancelled when `stop` is requested.
  Result<std::vector<std::filesystem::path>> wait_for(int image, const std::stop_token& stop) const;

 private:
  using Fetched = Result<std::vector<std::filesystem::path>>;
  Fetched fetch(int image, bool unpack);
  Fetched fetch_showing(int image, bool unpack);

  const Store& store_;
  const api::Plan& plan_;
  const builder::OpenImage& open_image_;
  std::filesystem::path volume_;
  Progress& progress_;
  std::stop_source stop_;
  std::vector<std::shared_future<Fetched>> fetched_;
  std::vector<std::jthread> threads_;
};

}  // namespace imagebuild::cli
