// The files that an image consists of, by path: in a folder or in a tar. For the readers of this room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::oci {

struct Member {
  std::unique_ptr<ByteSource> content;
  std::uint64_t size_bytes = 0;
};

class MemberFiles {
 public:
  virtual ~MemberFiles() = default;
  // A regular file, by its path relative to the root ("blobs/sha256/…"). Missing is kNotFound. Thread-safe; the content
  // may outlive this.
  virtual Result<Member> open(const std::string& path) const = 0;
  // The whole file, if it has at most `max_bytes` (kLimit).
  Result<std::string> read(const std::string& path, std::uint64_t max_bytes) const;
};

// A folder on disk. A symlink below it is kCorrupt wherever it leads: the folder may come from anybody.
Result<std::unique_ptr<MemberFiles>> open_folder_members(const std::filesystem::path& folder);

// An uncompressed tar file, read once for its headers (see tar_members.cc for what it takes).
Result<std::unique_ptr<MemberFiles>> open_tar_members(const std::filesystem::path& file);

}  // namespace imagebuild::oci
