// One file-system object as archives and trees describe it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace imagebuild::archive {

enum class NodeType : std::uint8_t { kFile, kDirectory, kSymlink, kHardlink, kCharDevice, kBlockDevice, kFifo };

struct Node {
  std::string path;  // Relative to the tree's root, '/' between parts, no empty, "." or ".." part; "" is the root.
  NodeType type = NodeType::kFile;
  std::uint32_t mode = 0;  // The permission bits, set-id bits and the sticky bit (07777).
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size_bytes = 0;  // Of a regular file's content; 0 for everything else.
  std::int64_t mtime_s = 0;      // Seconds since the epoch; fractions are not kept.
  std::string link;  // A symlink's text as it stands, or the path (as above) a hard link shares its file with.
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::map<std::string, std::string> xattrs;  // "security.capability" and so on, with their raw values.
  std::optional<std::uint64_t> data_offset;   // Where the content begins in the tar that a TreeIndex describes.
  std::optional<std::string> content;         // The content itself, where somebody keeps it (small files).

  bool operator==(const Node&) const = default;
};

}  // namespace imagebuild::archive
