// The state of a root file system at one moment, small enough to keep and exact enough to tell what changed since.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "builder/stage/live_root.h"

namespace imagebuild::builder {

// Times are in nanoseconds since the epoch. Hundreds of thousands of these are kept: names and texts lie in one arena.
class Snapshot {
 public:
  struct Object {
    std::uint64_t inode = 0;
    std::int64_t ctime_ns = 0;  // Moves with every change of content, metadata, links or attributes; 0 for folders.
    std::int64_t mtime_ns = 0;
    std::uint64_t size_bytes = 0;  // 0 for folders.
    std::uint64_t device = 0;      // Of a device node.
    std::uint32_t mode = 0;        // With the type bits (S_IFMT).
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t folder = -1;  // Index into the folders; -1 for everything else.
    std::uint64_t text = 0;    // A hash of a symlink's text or a folder's extended attributes.
    std::uint32_t name_at = 0;
    std::uint16_t name_bytes = 0;
    bool phantom = false;  // Made by the runtime: counts as absent for as long as it is as it was.
  };

  // Walks the root. `on_socket` is told each socket's path: sockets cannot be kept in an image and are left out.
  // A tree deeper than 512 folders is kLimit.
  static Result<Snapshot> take(const LiveRoot& root, const std::function<void(const std::string&)>& on_socket = {});

  const Object& root() const { return root_; }
  // What lies in a folder, sorted by name.
  std::span<const Object> children(const Object& folder) const;
  std::string_view name(const Object& object) const {
    return std::string_view(names_).substr(object.name_at, object.name_bytes);
  }
  // The bytes of all regular files, each hard-linked file once.
  std::uint64_t content_bytes() const;
  std::int64_t newest_ctime_ns() const { return newest_ctime_ns_; }

 private:
  friend class SnapshotWalk;
  struct Folder {
    std::size_t first = 0;
    std::size_t count = 0;
  };
  Object root_;
  std::vector<Object> objects_;
  std::vector<Folder> folders_;
  std::string names_;
  std::int64_t newest_ctime_ns_ = 0;
};

// Returns once a change made from now on must carry a later ctime than anything in the snapshot: kernels before 6.13
// stamp with a clock that ticks every few milliseconds.
void wait_for_next_tick(const Snapshot& snapshot);

}  // namespace imagebuild::builder
