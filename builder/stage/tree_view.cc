#include "builder/stage/tree_view.h"

#include <deque>
#include <utility>

namespace imagebuild::builder {
namespace {

constexpr int kMaxLinks = 40;  // As the kernel's path walk.

// Puts the parts of `path` before those that still wait.
void put_parts_first(std::string_view path, std::deque<std::string>& waiting) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    at = end + 1;
  }
  waiting.insert(waiting.begin(), parts.begin(), parts.end());
}

}  // namespace

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  if (name.empty()) return std::string(folder);
  return std::string(folder) + "/" + std::string(name);
}

std::string parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string last_part(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  if (folder.empty() || path == folder) return true;
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

std::string shown(std::string_view path) {
  return path.starts_with('/') ? std::string(path) : "/" + std::string(path);
}

Result<std::string> TreeView::resolve(std::string_view path, bool follow_last, std::vector<std::string>* passed) const {
  std::deque<std::string> waiting;
  put_parts_first(path, waiting);
  std::string at;
  int links = 0;
  while (!waiting.empty()) {
    const std::string part = std::move(waiting.front());
    waiting.pop_front();
    if (part == "..") {
      at = parent_path(at);
      continue;
    }
    std::string next = join_path(at, part);
    ASSIGN_OR_RETURN(const std::optional<Found> here, lookup(next));
    if (here && passed != nullptr) passed->push_back(next);
    const bool follow = here && here->node.type == archive::NodeType::kSymlink && (follow_last || !waiting.empty());
    if (!follow) {
      at = std::move(next);
      continue;
    }
    if (++links > kMaxLinks) {
      return Error{ErrorCode::kInvalidInput, "too many symbolic links on the way to '" + shown(path) + "'"};
    }
    if (here->node.link.starts_with('/')) at.clear();
    put_parts_first(here->node.link, waiting);
  }
  return at;
}

Status TreeView::walk(const std::string& folder, const Visitor& visit) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list(folder));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::optional<Found> found, lookup(join_path(folder, name)));
    if (!found) continue;
    RETURN_IF_ERROR(visit(*found));
    if (found->node.type == archive::NodeType::kDirectory) RETURN_IF_ERROR(walk(found->node.path, visit));
  }
  return imagebuild::ok();
}

Result<std::optional<std::string>> TreeView::read_small(std::string_view path, std::uint64_t max_bytes) const {
  ASSIGN_OR_RETURN(const std::string real, resolve(path, true));
  ASSIGN_OR_RETURN(const std::optional<Found> found, lookup(real));
  if (!found || found->node.type != archive::NodeType::kFile) return std::optional<std::string>();
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, open(found->node));
  auto text = read_all(*content, max_bytes);
  if (!text.ok()) return text.error().in(shown(path));
  return std::optional<std::string>(std::move(*text));
}

IndexView::IndexView(const archive::TreeIndex& index, Opener opener) : index_(index), opener_(std::move(opener)) {
  for (const auto& [path, node] : index_.nodes()) {
    if (node.type == archive::NodeType::kHardlink) shared_.try_emplace(node.link, shared_.size() + 1);
  }
}

Found IndexView::found(const archive::Node& node) const {
  if (node.type != archive::NodeType::kHardlink) {
    const auto shared = shared_.find(node.path);
    return Found{node, shared == shared_.end() ? 0 : shared->second};
  }
  const archive::Node* file = index_.find(node.link);
  Found result{file != nullptr ? *file : node, 0};
  if (const auto shared = shared_.find(node.link); shared != shared_.end()) result.file_id = shared->second;
  result.node.path = node.path;
  result.node.type = archive::NodeType::kFile;
  result.node.link.clear();
  return result;
}

Result<std::optional<Found>> IndexView::lookup(const std::string& path) const {
  if (const archive::Node* node = index_.find(path)) return std::optional<Found>(found(*node));
  if (!path.empty()) return std::optional<Found>();
  archive::Node root;
  root.type = archive::NodeType::kDirectory;
  root.mode = 0755;
  return std::optional<Found>(Found{root, 0});
}

Result<std::vector<std::string>> IndexView::list(const std::string& folder) const {
  return index_.children(folder);
}

Result<std::unique_ptr<ByteSource>> IndexView::open(const archive::Node& file) const {
  const archive::Node* node = index_.find(file.path);
  if (node == nullptr) return Error{ErrorCode::kInternal, "nothing is known about '" + shown(file.path) + "'"};
  return opener_(*node);
}

Status IndexView::walk(const std::string& folder, const Visitor& visit) const {
  const auto& nodes = index_.nodes();
  for (auto at = folder.empty() ? nodes.begin() : nodes.upper_bound(folder); at != nodes.end(); ++at) {
    if (!is_at_or_below(at->first, folder)) break;
    if (at->first.empty()) continue;
    RETURN_IF_ERROR(visit(found(at->second)));
  }
  return imagebuild::ok();
}

}  // namespace imagebuild::builder
