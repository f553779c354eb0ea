#include "archive/tree_index.h"

#include <algorithm>
#include <cstring>

#include "archive/path.h"

namespace imagebuild::archive {

namespace {

unsigned rank_of(char byte) {
  return byte == '/' ? 0U : static_cast<unsigned char>(byte) + 1U;
}

// The first key after everything at and below `folder`: a NUL sorts right after '/', and no path has one.
std::string end_of_subtree(std::string_view folder) {
  std::string end(folder);
  end += '\0';
  return end;
}

}  // namespace

// Neighbours have most of their paths in common, so these are compared eight bytes at a time.
bool TreeIndex::PathOrder::operator()(std::string_view a, std::string_view b) const {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= common; i += sizeof(std::uint64_t)) {
    if (std::memcmp(a.data() + i, b.data() + i, sizeof(std::uint64_t)) != 0) break;
  }
  for (; i < common; ++i) {
    if (a[i] != b[i]) return rank_of(a[i]) < rank_of(b[i]);
  }
  return a.size() < b.size();
}

const Node* TreeIndex::find(std::string_view path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<std::string> TreeIndex::children(std::string_view folder) const {
  std::vector<std::string> names;
  const std::string prefix = folder.empty() ? std::string() : std::string(folder) + '/';
  auto at = nodes_.lower_bound(prefix);
  if (folder.empty() && at != nodes_.end() && at->first.empty()) ++at;
  while (at != nodes_.end() && at->first.starts_with(prefix)) {
    std::string_view rest = std::string_view(at->first).substr(prefix.size());
    names.emplace_back(take_part(rest));
    at = nodes_.lower_bound(end_of_subtree(prefix + names.back()));
  }
  return names;
}

void TreeIndex::put(Node node) {
  const bool is_last = nodes_.empty() || PathOrder()(nodes_.rbegin()->first, node.path);
  auto at = is_last ? nodes_.end() : nodes_.lower_bound(node.path);
  const bool replaces = at != nodes_.end() && at->first == node.path;
  if (node.type != NodeType::kDirectory) {
    auto below = replaces ? std::next(at) : at;
    while (below != nodes_.end() && is_below(below->first, node.path)) below = nodes_.erase(below);
    if (!replaces) at = below;
  }
  if (replaces) {
    at->second = std::move(node);
  } else {
    std::string path = node.path;
    nodes_.emplace_hint(at, std::move(path), std::move(node));
  }
}

void TreeIndex::remove(std::string_view path) {
  remove_below(path);
  const auto found = nodes_.find(path);
  if (found != nodes_.end()) nodes_.erase(found);
}

void TreeIndex::remove_below(std::string_view folder) {
  if (folder.empty()) {
    const auto root = nodes_.find(folder);
    nodes_.erase(root == nodes_.end() ? nodes_.begin() : std::next(root), nodes_.end());
    return;
  }
  nodes_.erase(nodes_.lower_bound(std::string(folder) + '/'), nodes_.lower_bound(end_of_subtree(folder)));
}

std::uint64_t TreeIndex::content_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [path, node] : nodes_) {
    if (node.type == NodeType::kFile) total += node.size_bytes;
  }
  return total;
}

}  // namespace imagebuild::archive
