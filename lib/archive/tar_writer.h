// Writes tar archives whose bytes depend on nothing but the nodes: POSIX ustar, with pax headers only where ustar has
// no room (OCI image-spec, layer.md; POSIX pax). Ours because libarchive's bytes depend on the process's locale.
#pragma once

#include <vector>

#include "archive/node.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

class TarWriter {
 public:
  explicit TarWriter(ByteSink& sink) : sink_(sink) {}
  // Appends one entry. `content` gives exactly node.size_bytes for a regular file with size > 0 (kCorrupt otherwise)
  // and is ignored for everything else. User and group names, access and change times are never written.
  Status add(const Node& node, ByteSource* content);
  // Writes the two closing blocks; nothing may be added afterwards.
  Status finish();
  // Where the next byte goes, counted from the start of the archive.
  std::uint64_t offset() const { return offset_; }
  // Where the content of the entry added last began.
  std::uint64_t last_content_offset() const { return last_content_offset_; }

 private:
  Status put(std::span<const std::byte> bytes);
  Status put_content(const Node& node, ByteSource& content);
  ByteSink& sink_;
  std::vector<std::byte> buffer_;
  std::uint64_t offset_ = 0;
  std::uint64_t last_content_offset_ = 0;
};

}  // namespace imagebuild::archive
