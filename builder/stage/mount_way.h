// What a RUN is to see at its mount points, and the seam between the two ways to show it: real mounts in a mount
// namespace of the RUN (private_mounts.h), and what stands in for them in a container that may not mount (stand_ins.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "builder/stage/run_child.h"
#include "builder/stage/tree_view.h"
#include "ssh/socket_server.h"

namespace imagebuild::builder {

// A folder or a file of a tree; `path` is resolved and there. Writes are refused, or dropped if it is `writable`.
struct TreeSource {
  const TreeView* tree = nullptr;
  std::string identity;  // Equal for what is the same tree.
  std::string path;
  bool is_folder = true;
  bool as_root = false;  // Everything belongs to root, as context files do.
  bool writable = false;
};
struct CacheSource {
  std::filesystem::path folder;
  bool read_only = false;
};
struct MemorySource {
  std::uint64_t size_bytes = 0;  // 0: no limit.
};
struct SocketSource {
  std::function<Result<std::unique_ptr<ssh::SocketServer>>(const std::filesystem::path& path)> serve;
};
struct ContentSource {  // A secret.
  std::string content;
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct WantedMount {
  std::string target;  // Absolute and cleaned.
  std::string what;    // For messages: "the mount of '/src'".
  std::variant<TreeSource, CacheSource, MemorySource, SocketSource, ContentSource> source;
};

class MountWay {
 public:
  virtual ~MountWay() = default;  // Takes everything back, as far as undo() has not.
  // `mounts` are sorted by target, so that one below another comes after it. kInvalidInput, kUnsupported and so on are
  // about the mount that the message names.
  virtual Status put(const std::vector<WantedMount>& mounts, RunChild& child, std::stop_token stop) = 0;
  // After the command, however it ended: everything is as it was before put().
  virtual Status undo() = 0;
  // Paths (as archive::Node) that the RUN cannot have changed, nor anything below them, whatever it may look like.
  virtual const std::set<std::string>& masked() const = 0;
};

bool wants_folder(const WantedMount& mount);
// The last of the mounts before `index` whose target `mounts[index]` lies below; -1 for none.
int enclosing(const std::vector<WantedMount>& mounts, std::size_t index);

}  // namespace imagebuild::builder
