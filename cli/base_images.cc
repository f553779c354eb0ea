#include "cli/base_images.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "archive/extract.h"
#include "archive/tree_index.h"
#include "base/byte_channel.h"
#include "base/file.h"
#include "builder/prepare/base_index.h"
#include "cli/overlay.h"
#include "cli/spool.h"
#include "oci/layer.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kChannelBytes = 2U << 20;
constexpr std::size_t kFetchedAhead = 3;

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

// A consumer of a tar on a thread of its own, fed through a channel.
class TarConsumer {
 public:
  explicit TarConsumer(std::function<Status(ByteSource&)> consume) {
    ByteChannel::Ends ends = ByteChannel::create(kChannelBytes);
    writer_ = std::move(ends.writer);
    thread_ = std::thread([this, consume = std::move(consume), reader = std::shared_ptr(std::move(ends.reader))] {
      status_ = consume(*reader);
      if (status_.ok()) status_ = drain(*reader);
    });
  }
  ~TarConsumer() { (void)end(Error{ErrorCode::kCancelled, "stopped"}); }
  TarConsumer(const TarConsumer&) = delete;
  TarConsumer& operator=(const TarConsumer&) = delete;

  Status write(std::span<const std::byte> bytes) { return writer_->write(bytes); }
  // Says that this was all, or why there is no more; then the consumer's own result.
  Status end(const std::optional<Error>& error) {
    if (!thread_.joinable()) return status_;
    if (error) {
      writer_->close(*error);
    } else {
      writer_->close();
    }
    thread_.join();
    return status_;
  }

 private:
  // What stands after the end of a tar has to be read too: the digest is of everything.
  static Status drain(ByteSource& source) {
    std::vector<std::byte> buffer(64 * 1024);
    while (true) {
      ASSIGN_OR_RETURN(const std::size_t count, source.read(buffer));
      if (count == 0) return ok();
    }
  }
  std::unique_ptr<ByteChannel::Writer> writer_;
  Status status_ = imagebuild::ok();
  std::thread thread_;
};

// Gives every consumer every byte. The first cause of a failure is the error, not what followed from it.
Status feed(ByteSource& tar, std::vector<std::unique_ptr<TarConsumer>>& consumers) {
  std::optional<Error> broken;
  bool consumer_failed = false;
  std::vector<std::byte> buffer(256 * 1024);
  while (!broken && !consumer_failed) {
    const Result<std::size_t> count = tar.read(buffer);
    if (!count.ok()) broken = count.error();
    if (broken || *count == 0) break;
    for (const auto& consumer : consumers) {
      consumer_failed = consumer_failed || !consumer->write(std::span(buffer).first(*count)).ok();
    }
  }
  const std::optional<Error> reason = consumer_failed ? std::optional(Error{ErrorCode::kCancelled, "stopped"}) : broken;
  std::optional<Error> first = broken;
  for (const auto& consumer : consumers) {
    const Status status = consumer->end(reason);
    if (!status.ok() && (!first || first->code == ErrorCode::kCancelled)) {
      if (!first || status.error().code != ErrorCode::kCancelled) first = status.error();
    }
  }
  if (first) return *first;
  return ok();
}

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

  // The layer's blob: from its spool if it was fetched ahead, else straight from where it lies.
  Result<std::unique_ptr<ByteSource>> blob(std::size_t layer) {
    for (std::size_t i = layer + 1; i < chain_.size() && i <= layer + kFetchedAhead; ++i) {
      if (!needs_bytes(i) || spools_.contains(i)) continue;
      ASSIGN_OR_RETURN(spools_[i], Spool::start(opener(i), store_.spool_folder()));
    }
    const auto spool = spools_.find(layer);
    if (spool != spools_.end()) return spool->second->reader();
    return read_ahead(opener(layer), kChannelBytes);
  }

  Status add_layer(std::size_t layer) {
    const oci::Descriptor& descriptor = image_.manifest.layers[layer];
    std::optional<LockFile> lock;
    if (request_.unpack) {
      ASSIGN_OR_RETURN(LockFile held, store_.lock_layer(chain_[layer], stop_));
      lock.emplace(std::move(held));
      if (!needs_bytes(layer)) return ok();  // Another build was faster.
    }
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> bytes, blob(layer));
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> tar,
                     oci::open_layer(std::move(bytes), descriptor.media_type, image_.config.diff_ids[layer]));
    const bool unpack = request_.unpack && !is_unpacked(layer);
    std::vector<std::unique_ptr<TarConsumer>> consumers;
    if (want_index_) {
      consumers.push_back(std::make_unique<TarConsumer>([this](ByteSource& source) {
        return archive::apply_layer_to_index(source, builder::base_index_content(), index_);
      }));
    }
    Status status = unpack ? unpack_layer(layer, *tar, consumers) : feed(*tar, consumers);
    spools_.erase(layer);
    return status;
  }

  // Extracts through a mount of the layers below, so that what the layer removes ends up as overlay wants it.
  Status unpack_layer(std::size_t layer, ByteSource& tar, std::vector<std::unique_ptr<TarConsumer>>& consumers) {
    const OverlayFolder folder{store_.unpacking(chain_[layer])};
    std::error_code error;
    fs::remove_all(folder.path, error);  // We hold its lock: what is there was left by a killed process.
    if (!error) fs::create_directory(folder.path, error);
    if (error) return system_error(folder.path.string(), error.value());
    Status status = unpack_in(folder, layer, tar, consumers);
    fs::remove_all(folder.path, error);
    return status;
  }

  Status unpack_in(const OverlayFolder& folder, std::size_t layer, ByteSource& tar,
                   std::vector<std::unique_ptr<TarConsumer>>& consumers) {
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
      consumers.push_back(std::make_unique<TarConsumer>(
          [&](ByteSource& source) { return archive::extract(source, root_fd.get(), archive::ExtractOptions{}); }));
      const Status fed = feed(tar, consumers);
      consumers.clear();  // Their threads use the descriptor.
      if (!fed.ok()) return fed.error();
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
};

}  // namespace

Result<BaseImageFiles> fetch_base_image(const Store& store, oci::ImageSource& source, const FetchRequest& request,
                                        const std::stop_token& stop) {
  return Fetch(store, source, request, stop).run();
}

}  // namespace imagebuild::cli
