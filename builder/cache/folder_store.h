// A cache in a folder: on this machine, or on a claim that pods mount.
//
//   records/<key>       a CacheRecord; its modification time says when it was used last
//   outlines/<outline>  empty; there is or was a record with it: made before the record, removed after it
//   blobs/<digest>      a file that records name; its modification time says when it was verified last
//   tmp/                what is being written
//   lock                held shared by whoever reads or writes, alone by whoever removes
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "builder/cache/inventory.h"
#include "builder/cache/store.h"

namespace imagebuild::builder {

struct FolderStoreSettings {
  std::filesystem::path folder;
  // Files that were last verified before this (seconds since 1970) are verified again before they are given out by a
  // hard link: the machine may have lost power meanwhile. So are those that somebody wrote to since; copies always are.
  std::int64_t verify_before_s = 0;
};

class FolderStore final : public CacheStore, public CacheInventory {
 public:
  // Makes the folders that are missing.
  static Result<FolderStore> open(FolderStoreSettings settings);

  Result<std::optional<CacheRecord>> find(const oci::Digest& key, const std::stop_token& stop) override;
  // Files on the same file system are shared by hard links.
  Result<bool> fetch(const CacheRecord& record, const std::filesystem::path& folder,
                     const std::stop_token& stop) override;
  Status keep(const oci::Digest& key, const CacheRecord& record, const std::filesystem::path& folder,
              const std::stop_token& stop) override;
  bool may_have(const oci::Digest& outline) const override;
  std::string name() const override { return "the cache folder " + settings_.folder.string(); }

  Result<std::vector<CacheEntry>> entries() const override;
  CacheUsage usage() const override;
  // What killed processes left goes too.
  Result<std::uint64_t> prune(const CacheLimits& limits) const override;

 private:
  explicit FolderStore(FolderStoreSettings settings) : settings_(std::move(settings)) {}
  std::filesystem::path record_path(std::string_view key) const { return settings_.folder / "records" / key; }
  std::filesystem::path outline_path(std::string_view outline) const { return settings_.folder / "outlines" / outline; }
  std::filesystem::path blob_path(std::string_view digest) const;
  Result<UniqueFd> lock(int operation) const;
  Status give(const CachedFile& file, const std::filesystem::path& to, const std::stop_token& stop) const;
  Status take_in(const CachedFile& file, const std::filesystem::path& from, const std::stop_token& stop) const;
  FolderStoreSettings settings_;
};

}  // namespace imagebuild::builder
