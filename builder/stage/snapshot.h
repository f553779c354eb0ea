// The state of a root file system at one moment, small enough to keep and exact enough to tell what changed since.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "builder/stage/live_root.h"

namespace imagebuild::builder {

// Times are in nanoseconds since the epoch. Hundreds of thousands of these are kept: the names of a folder lie in one
// text.
class Snapshot {
 public:
  struct Folder;
  struct Object {
    std::string_view name;
    std::uint64_t inode = 0;
    std::int64_t ctime_ns = 0;  // Moves with every change of content, metadata, links or attributes; 0 for folders.
    std::int64_t mtime_ns = 0;
    std::uint64_t size_bytes = 0;    // 0 for folders; the number of a device node.
    std::uint64_t text = 0;          // A hash of a symlink's text or a folder's extended attributes.
    const Folder* folder = nullptr;  // What a folder holds; null for everything else.
    std::uint32_t mode = 0;          // With the type bits (S_IFMT).
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    bool has_more_names = false;  // A hard-linked file.
    bool phantom = false;         // Made by the runtime: counts as absent for as long as it is as it was.
  };
  struct Folder {
    std::vector<Object> objects;  // Sorted by name.
    std::string names;
  };

  // Walks the root with `threads` (0: two per CPU, as some will wait for the disk, 8 at most). `on_socket` is told each
  // socket's path, sorted, at the end: sockets cannot be kept in an image and are left out. A tree deeper than 512
  // folders is kLimit.
  static Result<Snapshot> take(const LiveRoot& root, const std::function<void(const std::string&)>& on_socket = {},
                               unsigned threads = 0);
  Snapshot(Snapshot&&) = default;
  Snapshot& operator=(Snapshot&&) = default;

  const Object& root() const { return root_; }
  // What lies in a folder, sorted by name.
  static std::span<const Object> children(const Object& folder);
  // The bytes of all regular files, each hard-linked file once.
  std::uint64_t content_bytes() const;
  std::int64_t newest_ctime_ns() const { return newest_ctime_ns_; }

 private:
  friend class SnapshotWalk;
  Snapshot() = default;
  Object root_;
  std::vector<std::list<Folder>> folders_;  // One list for each thread that walked; objects point into them.
  std::int64_t newest_ctime_ns_ = 0;
};

// Returns once a change made from now on must carry a later ctime than anything in the snapshot: kernels before 6.13
// stamp with a clock that ticks every few milliseconds.
void wait_for_next_tick(const Snapshot& snapshot);

}  // namespace imagebuild::builder
