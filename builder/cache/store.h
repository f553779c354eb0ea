// A place that keeps results between builds: small records by key, and the files that they name by content. Whoever
// reads gets what was written, whole and verified, or nothing; several builds may write at the same time, and one that
// is cut off leaves nothing that another could take for a result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::builder {

// A file that a record names.
struct CachedFile {
  std::string path;    // Relative to the stage's folder of the artifact volume: "layers/3.tar.gz".
  std::string digest;  // Of its bytes.
  std::uint64_t size_bytes = 0;
  bool operator==(const CachedFile&) const = default;
};

// What is kept under a key.
struct CacheRecord {
  std::string title;              // For people: "build: RUN make".
  std::string content;            // JSON of the one who keeps it; at most kMaxContentBytes.
  std::vector<CachedFile> files;  // Sorted by path, each once.
  // 64 hexadecimal digits: the key that it would have if no file had any content (StageResults); empty if it was kept
  // under no such key.
  std::string outline = {};
  bool operator==(const CacheRecord&) const = default;

  static constexpr std::size_t kMaxContentBytes = 32U << 20;
  std::string json() const;
  static Result<CacheRecord> parse(std::string_view json);  // kCorrupt; paths never leave the stage's folder.
};

class CacheStore {
 public:
  virtual ~CacheStore() = default;
  // Nothing where the key is unknown or what is there is no whole record. An error is the place's (a registry that
  // cannot be reached), never the record's.
  virtual Result<std::optional<CacheRecord>> find(const oci::Digest& key, const std::stop_token& stop) = 0;
  // Puts the record's files below `folder`, which may have others; false when one is gone or not what was promised:
  // then none of them is left there.
  virtual Result<bool> fetch(const CacheRecord& record, const std::filesystem::path& folder,
                             const std::stop_token& stop) = 0;
  // Keeps the record and the files, which lie in `folder`, for find() and fetch(). What is there already is not
  // written again.
  virtual Status keep(const oci::Digest& key, const CacheRecord& record, const std::filesystem::path& folder,
                      const std::stop_token& stop) = 0;
  // False only where the place has no record with this outline, unless it was damaged. Costs next to nothing, or is
  // true.
  virtual bool may_have(const oci::Digest& outline) const {
    (void)outline;
    return true;
  }
  // For messages: "the folder /var/cache/imagebuild", "the repository registry.example/cache".
  virtual std::string name() const = 0;
};

}  // namespace imagebuild::builder
