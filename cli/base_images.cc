#include "cli/base_images.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <optional>

#include "archive/extract.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "builder/prepare/base_index.h"
#include "cli/overlay.h"
#include "cli/spool.h"
#include "oci/layer.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBlobAheadBytes = 2U << 20;
constexpr std::size_t kTarAheadBytes = 24U << 20;  // What decompression may be ahead of unpacking.
constexpr std::size_t kFetchedAhead = 3;           // Layers.

// Counts what passes, and ends with kCancelled when somebody asks to stop.
class CountedSource final : public ByteSource {
 public:
  CountedSource(std::unique_ptr<ByteSource> source, std::function<void(std::uint64_t)> on_count, std::stop_token stop)
      : source_(std::move(source)), on_count_(std::move(on_count)), stop_(std::move(stop)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped while fetching a base image"};
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(buffer));
    on_count_(count);
    return count;
  }

 private:
  std::unique_ptr<ByteSource> source_;
  std::function<void(std::uint64_t)> on_count_;
  std::stop_token stop_;
};

class Fetch {
 public:
  Fetch(const Store& store, oci::ImageSource& source, const FetchRequest& request, const std::stop_token& stop)
      : store_(store),
        source_(source),
        request_(request),
        image_(*request.image),
        stop_(stop),
        chain_(chain_ids(image_.config.diff_ids)) {}

  Result<BaseImageFiles> run() {
    BaseImageFiles files;
    if (chain_.empty()) return files;
    if (image_.manifest.layers.size() != chain_.size()) {
      return Error{ErrorCode::kCorrupt, "the image has " + std::to_string(image_.manifest.layers.size()) +
                                            " layers but its config names " + std::to_string(chain_.size())};
    }
    ASSIGN_OR_RETURN(const LockFile lock, store_.lock_image(chain_.back(), stop_));
    files.index = store_.index(chain_.back());
    want_index_ = !fs::exists(files.index);
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      if (needs_bytes(i)) total_bytes_ += image_.manifest.layers[i].size_bytes;
    }
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      if (needs_bytes(i)) {
        RETURN_IF_ERROR(add_layer(i).in("layer " + image_.manifest.layers[i].digest.str()));
      }
      if (request_.unpack) files.layers.push_back(store_.layer(chain_[i]));
    }
    if (want_index_) RETURN_IF_ERROR(save_index(files.index));
    if (request_.unpack) store_.note_use(chain_);
    return files;
  }

 private:
  bool is_unpacked(std::size_t layer) const { return fs::exists(store_.layer(chain_[layer])); }
  bool needs_bytes(std::size_t layer) const { return want_index_ || (request_.unpack && !is_unpacked(layer)); }

  OpenSource opener(std::size_t layer) {
    return [this, layer]() -> Result<std::unique_ptr<ByteSource>> {
      ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> blob, source_.open_blob(image_.manifest.layers[layer]));
      const auto count = [this](std::uint64_t bytes) {
        const std::uint64_t done = done_bytes_ += bytes;
        if (request_.on_bytes) request_.on_bytes(done, total_bytes_);
      };
      return std::unique_ptr<ByteSource>(std::make_unique<CountedSource>(std::move(blob), count, stop_));
    };
  }

  // Starts to fetch the layers that come next.
  Status fetch_ahead(std::size_t layer) {
    for (std::size_t i = layer + 1; i < chain_.size() && i <= layer + kFetchedAhead; ++i) {
      if (!needs_bytes(i) || spools_.contains(i)) continue;
      ASSIGN_OR_RETURN(spools_[i], Spool::start(opener(i), store_.spool_folder()));
    }
    return ok();
  }

  // Starts to decompress the layer, on a thread of its own: from its spool if it is fetched ahead, else straight from
  // where it lies.
  void open_tar(std::size_t layer) {
    if (tars_.contains(layer)) return;
    const auto spool = spools_.find(layer);
    Spool* const fetched = spool == spools_.end() ? nullptr : spool->second.get();
    const auto open = [this, layer, fetched]() -> Result<std::unique_ptr<ByteSource>> {
      const oci::Descriptor& descriptor = image_.manifest.layers[layer];
      return oci::open_layer(fetched != nullptr ? fetched->reader() : read_ahead(opener(layer), kBlobAheadBytes),
                             descriptor.media_type, image_.config.diff_ids[layer]);
    };
    tars_[layer] = read_ahead(open, kTarAheadBytes);
  }

  void forget(std::size_t layer) {
    tars_.erase(layer);  // Reads the spool.
    spools_.erase(layer);
  }

  Status add_layer(std::size_t layer) {
    std::optional<LockFile> lock;
    if (request_.unpack) {
      ASSIGN_OR_RETURN(LockFile held, store_.lock_layer(chain_[layer], stop_));
      lock.emplace(std::move(held));
      if (!needs_bytes(layer)) {  // Another build was faster.
        forget(layer);
        return ok();
      }
    }
    RETURN_IF_ERROR(fetch_ahead(layer));
    open_tar(layer);
    if (spools_.contains(layer + 1)) open_tar(layer + 1);
    ByteSource& tar = *tars_[layer];
    const Status status = request_.unpack && !is_unpacked(layer)
                              ? unpack_layer(layer, tar)
                              : archive::apply_layer_to_index(tar, builder::base_index_content(), index_);
    forget(layer);
    return status;
  }

  // Extracts through a mount of the layers below, so that what the layer removes ends up as overlay wants it.
  Status unpack_layer(std::size_t layer, ByteSource& tar) {
    const OverlayFolder folder{store_.unpacking(chain_[layer])};
    std::error_code error;
    fs::remove_all(folder.path, error);  // We hold its lock: what is there was left by a killed process.
    if (!error) fs::create_directory(folder.path, error);
    if (error) return system_error(folder.path.string(), error.value());
    Status status = unpack_in(folder, layer, tar);
    fs::remove_all(folder.path, error);
    return status;
  }

  Status unpack_in(const OverlayFolder& folder, std::size_t layer, ByteSource& tar) {
    std::optional<Mount> mount;
    fs::path root = folder.upper();
    if (layer == 0) {
      if (::mkdir(root.c_str(), 0755) != 0) return system_error(root.string(), errno);
    } else {
      std::vector<fs::path> below;
      for (std::size_t i = 0; i < layer; ++i) below.push_back(store_.layer(chain_[i]));
      ASSIGN_OR_RETURN(Mount mounted, mount_overlay(folder, below));
      root = mounted.target();
      mount.emplace(std::move(mounted));
    }
    {
      ASSIGN_OR_RETURN(const UniqueFd root_fd, open_file(root, O_RDONLY | O_DIRECTORY));
      const archive::ExtractOptions options;
      RETURN_IF_ERROR(
          want_index_ ? archive::extract_and_index(tar, root_fd.get(), options, builder::base_index_content(), index_)
                      : archive::extract(tar, root_fd.get(), options));
    }
    if (mount) RETURN_IF_ERROR(mount->unmount());
    std::error_code error;
    fs::rename(folder.upper(), store_.layer(chain_[layer]), error);
    if (error) return system_error("keep an unpacked layer", error.value());
    return ok();
  }

  Status save_index(const fs::path& path) {
    const fs::path temporary = path.string() + ".new";  // We hold the image's lock.
    RETURN_IF_ERROR(index_.save(temporary));
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error) return system_error(path.string(), error.value());
    return ok();
  }

  const Store& store_;
  oci::ImageSource& source_;
  const FetchRequest& request_;
  const oci::ResolvedImage& image_;
  const std::stop_token& stop_;
  std::vector<oci::Digest> chain_;
  bool want_index_ = true;
  archive::TreeIndex index_;
  std::atomic<std::uint64_t> done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  std::map<std::size_t, std::unique_ptr<Spool>> spools_;
  std::map<std::size_t, std::unique_ptr<ByteSource>> tars_;  // After the spools, which some of them read.
};

}  // namespace

Result<BaseImageFiles> fetch_base_image(const Store& store, oci::ImageSource& source, const FetchRequest& request,
                                        const std::stop_token& stop) {
  return Fetch(store, source, request, stop).run();
}

}  // namespace imagebuild::cli
