// What a file system says of a file that moves on with its content, its mode and its attributes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <unordered_map>

namespace imagebuild::archive {

// Two looks at a file that see one version saw the same file, untouched between them, where the file system takes
// change times from this machine's clock and the first look came well after the change time (docs/design/0013).
struct FileVersion {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // mtime and ctime, since the epoch.
  std::int64_t changed_ns = 0;

  static FileVersion of(const struct stat& stat) {
    const auto nanoseconds = [](const timespec& time) {
      return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
    };
    return {stat.st_dev, stat.st_ino, static_cast<std::uint64_t>(stat.st_size), nanoseconds(stat.st_mtim),
            nanoseconds(stat.st_ctim)};
  }
  bool operator==(const FileVersion&) const = default;
};

using FileVersions = std::unordered_map<std::string, FileVersion>;  // By path.

}  // namespace imagebuild::archive
