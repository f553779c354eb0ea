#include <algorithm>

#include "archive/path.h"
#include "archive/tree_index.h"

namespace imagebuild::archive {

namespace {

constexpr int kMaxLinks = 40;
constexpr std::size_t kMaxPathBytes = 1U << 20;

// The symlink at `path`, also when it is shared by a hard link; nullptr for everything else.
const Node* symlink_at(const TreeIndex& index, std::string_view path) {
  const Node* node = index.find(path);
  if (node != nullptr && node->type == NodeType::kHardlink) node = index.find(node->link);
  return node != nullptr && node->type == NodeType::kSymlink ? node : nullptr;
}

}  // namespace

Result<std::string> resolve_in(const TreeIndex& index, std::string_view path, bool follow_last) {
  std::string pending(path);
  std::string resolved;
  int links = 0;
  while (true) {
    std::string_view rest = pending;
    const std::string part(take_part(rest));
    if (part.empty()) return resolved;
    const bool last = rest.find_first_not_of('/') == std::string_view::npos;
    pending = std::string(rest);
    if (part == ".") continue;
    if (part == "..") {
      resolved = std::string(split_path(resolved).first);
      continue;
    }
    std::string next = join_path(resolved, part);
    const Node* link = !last || follow_last ? symlink_at(index, next) : nullptr;
    if (link == nullptr) {
      resolved = std::move(next);
      continue;
    }
    if (++links > kMaxLinks || link->link.size() + pending.size() > kMaxPathBytes) {
      return Error{ErrorCode::kInvalidInput, "'" + std::string(path) + "' leads through too many symlinks"};
    }
    if (link->link.starts_with('/')) resolved.clear();
    pending.insert(0, "/").insert(0, link->link);
  }
}

}  // namespace imagebuild::archive
