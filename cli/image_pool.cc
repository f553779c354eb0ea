#include "cli/image_pool.h"

#include <atomic>
#include <chrono>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "cli/step_label.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

// A hard link where the file system lets us, else a copy.
Status place_index(const fs::path& index, const fs::path& target) {
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) return system_error(target.string(), error.value());
  if (index.empty()) return archive::TreeIndex().save(target);
  fs::create_hard_link(index, target, error);
  if (error) fs::copy_file(index, target, fs::copy_options::overwrite_existing, error);
  if (error) return system_error(target.string(), error.value());
  return ok();
}

std::string label_of(const api::Plan& plan, int image) {
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const auto* on = std::get_if<api::OnImage>(&plan.stages[i].base);
    if (on != nullptr && on->image == image) return from_label(plan, static_cast<int>(i));
  }
  return "FROM " + plan.images[static_cast<std::size_t>(image)].reference;
}

}  // namespace

std::set<int> images_to_unpack(const api::Plan& plan) {
  std::set<int> images;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    if (!plan.stages[i].needs_container) continue;
    const api::BaseImage* const root = api::root_image(plan, static_cast<int>(i));
    if (root != nullptr) images.insert(static_cast<int>(root - plan.images.data()));
  }
  return images;
}

ImagePool::ImagePool(const Store& store, const api::Plan& plan, const builder::OpenImage& open_image, fs::path volume,
                     Progress& progress)
    : store_(store), plan_(plan), open_image_(open_image), volume_(std::move(volume)), progress_(progress) {
  const std::set<int> unpack = images_to_unpack(plan);
  for (int image = 0; image < static_cast<int>(plan.images.size()); ++image) {
    std::promise<Fetched> promise;
    fetched_.push_back(promise.get_future().share());
    threads_.emplace_back([this, image, unpacked = unpack.contains(image), promise = std::move(promise)]() mutable {
      promise.set_value(fetch_showing(image, unpacked));
    });
  }
}

ImagePool::~ImagePool() {
  stop_.request_stop();
}

ImagePool::Fetched ImagePool::wait_for(int image, const std::stop_token& stop) const {
  constexpr std::chrono::milliseconds kBetweenLooks{50};
  const std::shared_future<Fetched>& fetched = fetched_[static_cast<std::size_t>(image)];
  while (fetched.wait_for(kBetweenLooks) != std::future_status::ready) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  }
  return fetched.get();
}

ImagePool::Fetched ImagePool::fetch_showing(int image, bool unpack) {
  Fetched fetched = fetch(image, unpack);
  if (fetched.ok()) return fetched;
  return fetched.error().in("base image '" + plan_.images[static_cast<std::size_t>(image)].name + "'");
}

ImagePool::Fetched ImagePool::fetch(int image, bool unpack) {
  const api::BaseImage& base = plan_.images[static_cast<std::size_t>(image)];
  const int job = progress_.start_job(label_of(plan_, image));
  std::atomic<bool> moved = false;
  const auto work = [&]() -> Fetched {
    ASSIGN_OR_RETURN(const oci::ResolvedImage resolved, oci::assemble_image(base.manifest_json, base.config_json));
    ASSIGN_OR_RETURN(const std::unique_ptr<oci::ImageSource> source, open_image_(base.reference));
    FetchRequest request;
    request.image = &resolved;
    request.unpack = unpack;
    request.on_bytes = [&](std::uint64_t done, std::uint64_t total) {
      moved = true;
      progress_.show(JobProgress{job, done, total});
    };
    ASSIGN_OR_RETURN(const BaseImageFiles files, fetch_base_image(store_, *source, request, stop_.get_token()));
    RETURN_IF_ERROR(place_index(files.index, volume_ / api::volume::base_index(image)));
    return files.layers;
  };
  Fetched fetched = work();
  if (fetched.ok()) {
    progress_.show(JobDone{job, !moved});
  } else {
    const bool stopped = fetched.error().code == ErrorCode::kCancelled;
    progress_.show(JobFailed{job, stopped ? "" : fetched.error().message});
  }
  return fetched;
}

}  // namespace imagebuild::cli
