#include "cli/layer_uploads.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/volume.h"
#include "archive/rooted_path.h"
#include "base/file.h"
#include "builder/stage/layer_file.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

// A stage in a container writes its layers by itself, so their files are looked at.
constexpr std::chrono::milliseconds kBetweenLooks{20};
// docker-registry forgets an upload when it is told to only if no chunk was broken off.
constexpr std::chrono::seconds kTimeForALastChunk{2};

}  // namespace

std::map<int, oci::Reference> pushed_stages(const api::Plan& plan, const builder::TargetTags& tags) {
  std::map<int, oci::Reference> stages;
  for (const api::PlanTarget& target : plan.targets) {
    const auto its_tags = tags.find(target.name);
    if (its_tags == tags.end() || its_tags->second.empty()) continue;
    for (const int stage : api::base_chain(plan, target.stage)) stages.try_emplace(stage, its_tags->second.front());
  }
  return stages;
}

// One stage's layers. A thread looks for those that become large, and each of them has a thread of its own.
class LayerUploads::Stage {
 public:
  Stage(LayerUploads& all, int stage, const oci::Reference& to)
      : all_(all),
        to_(to),
        folder_(all.volume_ / api::volume::stage_folder(stage)),
        steps_(static_cast<int>(all.plan_.stages[static_cast<std::size_t>(stage)].steps.size())) {
    for (int step = 0; step < steps_; ++step) {
      if (status_of(step)) known_.insert(step);
    }
    looker_ = std::jthread([this] { look(); });
  }

  ~Stage() {
    abandon();
    end(nullptr);
    wait();
  }

  void end(const api::StageReport* report) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      ended_ = true;
      abandoned_ = abandoned_ || report == nullptr;
      for (std::size_t i = 0; report != nullptr && i < report->layers.size(); ++i) note_whole(report->layers[i]);
    }
    changed_.notify_all();
  }

  void wait() {
    if (looker_.joinable()) looker_.join();
    {
      const auto is_done = [this] { return running_ == 0; };
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return is_done() || abandoned_; });
      if (!changed_.wait_for(lock, kTimeForALastChunk, is_done)) stop_.request_stop();
    }
    uploads_.clear();
  }

 private:
  std::string file_of(int step) const { return builder::layer_file_name(step, all_.compression_); }

  // Nothing if there is no such file yet, or what is there is no file that this stage writes.
  std::optional<struct stat> status_of(int step) const {
    struct stat status {};
    if (::lstat((folder_ / file_of(step)).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return status;
  }

  void note_whole(const api::LayerReport& layer) {
    const Result<oci::Digest> digest = oci::Digest::parse(layer.digest);
    if (!digest.ok()) return;
    whole_.emplace(layer.step, oci::Descriptor{layer.media_type, *digest, layer.size_bytes});
  }

  void look() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      lock.unlock();
      for (int step = 0; step < steps_; ++step) look_at(step);
      lock.lock();
      changed_.wait_for(lock, kBetweenLooks, [this] { return ended_; });
    }
  }

  void look_at(int step) {
    if (known_.contains(step)) return;
    const std::optional<struct stat> status = status_of(step);
    if (!status) return;
    // A file with two names is a cache's, and its bytes have been pushed before.
    const bool shared = status->st_nlink > 1;
    if (!shared && static_cast<std::uint64_t>(status->st_size) < all_.large_bytes_) return;
    known_.insert(step);
    if (shared) return;
    const std::lock_guard lock(mutex_);
    ++running_;
    uploads_.emplace_back([this, step] {
      upload(step);
      const std::lock_guard done(mutex_);
      --running_;
      changed_.notify_all();
    });
  }

  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }

  void upload(int step) {
    Result<UniqueFd> folder = open_file(folder_, O_PATH | O_DIRECTORY);
    if (!folder.ok()) return;
    // A container may have written there what it likes.
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    const Result<UniqueFd> file = archive::open_beneath(folder->get(), file_of(step), flags);
    if (!file.ok()) return;
    const registry::BlobGrowth grow = [&](std::uint64_t wanted) { return wait_for(step, file->get(), wanted); };
    const registry::BlobOpener open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
      ASSIGN_OR_RETURN(UniqueFd fd, archive::open_beneath(folder->get(), file_of(step), flags));
      return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(fd), offset));
    };
    // Whatever fails here, the push at the end meets it again, tries again and says what it was.
    (void)all_.client_.push_growing_blob(to_, grow, open, stop_.get_token());
  }

  Result<registry::BlobSoFar> wait_for(int step, int file, std::uint64_t wanted_bytes) {
    std::unique_lock lock(mutex_);
    while (true) {
      if (abandoned_) return Error{ErrorCode::kCancelled, "nobody wants this layer any more"};
      if (const auto whole = whole_.find(step); whole != whole_.end()) {
        return registry::BlobSoFar{whole->second.size_bytes, whole->second};
      }
      if (ended_) return Error{ErrorCode::kCancelled, "the stage ended without this layer"};
      struct stat status {};
      if (::fstat(file, &status) != 0) return system_error("a layer on its way to the registry", errno);
      const auto size_bytes = static_cast<std::uint64_t>(status.st_size);
      if (size_bytes >= wanted_bytes) return registry::BlobSoFar{size_bytes, std::nullopt};
      changed_.wait_for(lock, kBetweenLooks);
    }
  }

  LayerUploads& all_;
  const oci::Reference& to_;
  const fs::path folder_;
  const int steps_;
  std::set<int> known_;  // Steps that need no further look; the looker's own after the start.
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  bool abandoned_ = false;
  int running_ = 0;                       // Uploads.
  std::map<int, oci::Descriptor> whole_;  // The layers that are known, by step.
  std::vector<std::jthread> uploads_;     // The looker's own until it has ended.
  std::jthread looker_;
  const std::stop_callback<std::function<void()>> on_stop_{all_.stop_, [this] { abandon(); }};
};

LayerUploads::LayerUploads(registry::Client& client, const api::Plan& plan, fs::path volume,
                           archive::Compression compression, std::map<int, oci::Reference> stages, std::stop_token stop,
                           std::uint64_t large_bytes)
    : client_(client),
      plan_(plan),
      volume_(std::move(volume)),
      compression_(compression),
      places_(std::move(stages)),
      stop_(std::move(stop)),
      large_bytes_(large_bytes) {}

LayerUploads::~LayerUploads() = default;

void LayerUploads::begin(int stage) {
  const auto place = places_.find(stage);
  if (place == places_.end()) return;
  const std::lock_guard lock(mutex_);
  stages_.try_emplace(stage, std::make_unique<Stage>(*this, stage, place->second));
}

void LayerUploads::end(int stage, const api::StageReport* report) {
  const std::lock_guard lock(mutex_);
  if (const auto found = stages_.find(stage); found != stages_.end()) found->second->end(report);
}

void LayerUploads::wait() {
  const std::lock_guard lock(mutex_);
  for (const auto& [stage, its] : stages_) its->wait();
}

}  // namespace imagebuild::cli
