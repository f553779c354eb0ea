// What is kept between builds: unpacked layers of base images, by content, and their indexes. Several processes may use
// one store at the same time, and one that was killed leaves nothing that another could mistake for complete.
//
//   layers/<chain id>/        a layer as overlay wants it, to be stacked on the layers of the chain below it
//   indexes/<chain id>.index  archive::TreeIndex of the image with that topmost layer
//   cache/                    results of steps and stages (builder/cache/folder_store.h)
//   caches/<digest of id>/    a cache of RUN --mount=type=cache (builder/stage/cache_copies.h)
//   memos/<digest of path>    what the files of a context hold (builder/cache/content_memo.h)
//   used/<chain id>           an empty file; its times say when the layer was used last
//   tmp/<name>/               one of these that is being made under locks/<name>
//   builds/<id>/              a build's own folder, while builds/<id>.lock is held
//   in-use                    held shared by builds, alone by whoever removes what they could be using
//
// The chain id (OCI image-spec, config.md#layer-chainid) names a layer together with everything below it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/lock_file.h"
#include "base/process.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "oci/digest.h"

namespace imagebuild::cli {

// The chain ids of an image's layers, from the bottom up.
std::vector<oci::Digest> chain_ids(const std::vector<oci::Digest>& diff_ids);

// A build's own folder below the store, removed with everything in it at the end of its life. Whatever is mounted in it
// must be unmounted before.
class BuildFolder {
 public:
  BuildFolder(std::filesystem::path path, LockFile lock, UniqueFd store_lock)
      : path_(std::move(path)), lock_(std::move(lock)), store_lock_(std::move(store_lock)) {}
  BuildFolder(BuildFolder&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        lock_(std::move(other.lock_)),
        store_lock_(std::move(other.store_lock_)) {}
  BuildFolder& operator=(BuildFolder&&) = delete;
  ~BuildFolder();
  const std::filesystem::path& path() const { return path_; }
  // The folder's own name: unique on this machine as long as it exists.
  std::string id() const { return path_.filename().string(); }

 private:
  std::filesystem::path path_;
  LockFile lock_;
  UniqueFd store_lock_;  // Shared.
};

class Store {
 public:
  // Makes the folders that are missing.
  static Result<Store> open(const std::filesystem::path& folder);

  // Removes what killed processes left: half-unpacked layers and build folders. `before_removal` is called for each
  // such build folder first (its containers may have to go). Failures are left for the next time.
  void collect_leftovers(const std::function<void(const std::filesystem::path& build)>& before_removal) const;

  // Waits while somebody has the store alone.
  Result<BuildFolder> new_build() const;
  // Until the end of its life no build begins; nothing when one runs.
  Result<std::optional<UniqueFd>> try_lock_alone() const;

  std::filesystem::path layer(const oci::Digest& chain_id) const { return at("layers", chain_id); }
  std::filesystem::path index(const oci::Digest& chain_id) const {
    return folder_ / "indexes" / (std::string(chain_id.hex()) + ".index");
  }
  std::filesystem::path unpacking(const oci::Digest& chain_id) const { return at("tmp", chain_id); }
  std::filesystem::path layers_folder() const { return folder_ / "layers"; }
  std::filesystem::path indexes_folder() const { return folder_ / "indexes"; }
  std::filesystem::path caches_folder() const { return folder_ / "caches"; }
  std::filesystem::path used_marks_folder() const { return folder_ / "used"; }
  // Remembers that these layers are used now.
  void note_use(const std::vector<oci::Digest>& chain) const;
  std::filesystem::path memos_folder() const { return folder_ / "memos"; }
  // What is known of the files of this context.
  std::filesystem::path memo(const std::filesystem::path& context) const {
    return memos_folder() / std::string(oci::Digest::of(context.string()).hex());
  }
  // Held while a layer is unpacked.
  Result<LockFile> lock_layer(const oci::Digest& chain_id, const std::stop_token& stop) const {
    return LockFile::acquire(at("locks", chain_id), stop);
  }
  // Held while an image, named by its topmost layer, is fetched: a second build waits and finds it there.
  Result<LockFile> lock_image(const oci::Digest& chain_id, const std::stop_token& stop) const {
    return LockFile::acquire(folder_ / "locks" / ("image-" + std::string(chain_id.hex())), stop);
  }
  std::filesystem::path spool_folder() const { return folder_ / "tmp"; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit Store(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path at(const char* kind, const oci::Digest& chain_id) const {
    return folder_ / kind / std::string(chain_id.hex());
  }
  void collect_layers() const;
  std::filesystem::path folder_;
};

}  // namespace imagebuild::cli
