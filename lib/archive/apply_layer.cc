#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "archive/layer_to_index.h"
#include "archive/path.h"
#include "archive/tar_reader.h"
#include "archive/whiteout.h"

namespace imagebuild::archive {

namespace {
constexpr std::uint64_t kMaxKeptBytes = 1U << 20;
}

// Paths are resolved ones everywhere: no symlink is left in their folders.
class LayerToIndex::Application {
 public:
  Application(const std::vector<std::string>& keep_content, TreeIndex& index)
      : keep_(keep_content.begin(), keep_content.end()), index_(index) {
    for (const auto& [path, node] : index.nodes()) {
      if (node.type == NodeType::kHardlink) sharers_[node.link].insert(path);
    }
  }

  Status apply(Node node, ByteSource& content) {
    ASSIGN_OR_RETURN(const Whiteout whiteout, whiteout_of(node.path));
    switch (whiteout.kind) {
      case WhiteoutKind::kAufs:
        return ok();
      case WhiteoutKind::kOpaque:
        return hide_below(whiteout.path);
      case WhiteoutKind::kRemove:
        return hide(whiteout.path);
      case WhiteoutKind::kNone:
        break;
    }
    const bool keep = keep_.contains(node.path);
    if (!node.path.empty()) {
      const auto [folder, name] = split_path(node.path);
      ASSIGN_OR_RETURN(const std::string parent, make_parents(std::string(folder)));
      node.path = join_path(parent, name);
    }
    if (node.type == NodeType::kHardlink) {
      ASSIGN_OR_RETURN(const bool done, resolve_hardlink(node));
      if (done) return ok();
    }
    if (node.type == NodeType::kFile && node.size_bytes <= kMaxKeptBytes && (keep || keep_.contains(node.path))) {
      ASSIGN_OR_RETURN(node.content, read_all(content, kMaxKeptBytes));
    }
    put(std::move(node));
    return ok();
  }

 private:
  Result<std::string> resolve(std::string_view folder) const {
    Result<std::string> resolved = resolve_in(index_, folder, true);
    if (!resolved.ok()) return Error{ErrorCode::kCorrupt, resolved.error().message};
    return resolved;
  }

  // Where the folder leads, every missing part made as a folder 0755 of root.
  Result<std::string> make_parents(const std::string& folder) {
    if (cached_ && cached_->first == folder) return cached_->second;
    ASSIGN_OR_RETURN(const std::string resolved, resolve(folder));
    std::string made;
    std::string_view rest = resolved;
    for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
      made = join_path(made, part);
      const Node* node = index_.find(made);
      if (node != nullptr && node->type != NodeType::kDirectory) {
        return Error{ErrorCode::kCorrupt, "'" + made + "' on the way is not a folder"};
      }
      if (node != nullptr) continue;
      Node parent;
      parent.path = made;
      parent.type = NodeType::kDirectory;
      parent.mode = 0755;
      index_.put(std::move(parent));
    }
    cached_ = {folder, resolved};
    return resolved;
  }

  // The path of the node that has the file which the node at `path` shares, or is.
  std::string owner_of(const std::string& path) const {
    const Node* node = index_.find(path);
    return node != nullptr && node->type == NodeType::kHardlink ? node->link : path;
  }

  // Makes `node.link` the path of the node that has the file, and takes away what is at `node.path`. True if `node`
  // shares that file already.
  Result<bool> resolve_hardlink(Node& node) {
    const auto [folder, name] = split_path(node.link);
    ASSIGN_OR_RETURN(const std::string parent, resolve(folder));
    const std::string target = join_path(parent, name);
    const Node* found = index_.find(owner_of(target));
    if (found == nullptr || is_below(target, node.path)) {
      return Error{ErrorCode::kCorrupt, "the hard link names '" + node.link + "', which does not exist"};
    }
    if (found->type == NodeType::kDirectory) {
      return Error{ErrorCode::kCorrupt, "the hard link names '" + node.link + "', which is a folder"};
    }
    written_.insert(node.path);
    if (owner_of(target) == owner_of(node.path)) return true;
    if (index_.find(node.path) != nullptr) remove(node.path);  // May make the target the owner.
    node.link = owner_of(target);
    found = index_.find(node.link);
    node.mode = found->mode;
    node.uid = found->uid;
    node.gid = found->gid;
    node.mtime_s = found->mtime_s;
    node.xattrs = found->xattrs;
    return false;
  }

  void put(Node node) {
    written_.insert(node.path);
    const Node* old = index_.find(node.path);
    if (node.type == NodeType::kDirectory) {
      if (old != nullptr && old->type != NodeType::kDirectory) remove(node.path);
    } else if (old != nullptr) {
      remove(node.path);
    }
    if (node.type == NodeType::kHardlink) sharers_[node.link].insert(node.path);
    index_.put(std::move(node));
  }

  // Removes the node and everything below it. What others share by hard links goes on to live in one of them.
  void remove(const std::string& path) {
    cached_.reset();
    std::vector<std::string> doomed;
    for (auto at = index_.nodes().lower_bound(path);
         at != index_.nodes().end() && (at->first == path || is_below(at->first, path)); ++at) {
      doomed.push_back(at->first);
    }
    // Links first, so that no file is handed on to one that goes too.
    for (const std::string& one : doomed) forget_link(one);
    for (auto one = doomed.rbegin(); one != doomed.rend(); ++one) {
      hand_on(*one);
      index_.remove(*one);
    }
  }

  void forget_link(const std::string& path) {
    const Node* node = index_.find(path);
    if (node == nullptr || node->type != NodeType::kHardlink) return;
    const auto sharers = sharers_.find(node->link);
    if (sharers != sharers_.end()) sharers->second.erase(path);
  }

  void hand_on(const std::string& path) {
    const auto found = sharers_.find(path);
    if (found == sharers_.end()) return;
    std::set<std::string> sharers = std::move(found->second);
    sharers_.erase(found);
    if (sharers.empty()) return;
    Node heir = *index_.find(path);
    heir.path = *sharers.begin();
    sharers.erase(sharers.begin());
    for (const std::string& sharer : sharers) {
      Node link = *index_.find(sharer);
      link.link = heir.path;
      index_.put(std::move(link));
    }
    if (!sharers.empty()) sharers_[heir.path] = std::move(sharers);
    index_.put(std::move(heir));
  }

  Status hide(const std::string& path) {
    const auto [folder, name] = split_path(path);
    const Result<std::string> parent = resolve_in(index_, folder, true);
    if (parent.ok()) hide_lower(join_path(*parent, name), true);
    return ok();  // Where the path leads in circles, there is nothing to hide.
  }

  Status hide_below(const std::string& folder) {
    const Result<std::string> resolved = resolve_in(index_, folder, true);
    if (resolved.ok()) hide_lower(*resolved, false);
    return ok();
  }

  // Removes everything below `top`, and `top` itself if asked, but what this layer wrote and the folders it lies in.
  void hide_lower(const std::string& top, bool and_top) {
    std::vector<std::string> doomed;
    const auto& nodes = index_.nodes();
    std::string_view kept;  // The path that stays and comes next in order; folders before it may have to stay for it.
    auto end = nodes.lower_bound(top);
    while (end != nodes.end() && (end->first == top || is_below(end->first, top))) ++end;
    for (auto at = std::make_reverse_iterator(end); at != nodes.rend(); ++at) {
      const std::string& path = at->first;
      if (path != top && !is_below(path, top)) break;
      const bool stays =
          written_.contains(path) || (!kept.empty() && is_below(kept, path)) || (path == top && !and_top);
      if (stays) {
        kept = path;
      } else {
        doomed.push_back(path);
      }
    }
    for (const std::string& path : doomed) remove(path);
  }

  std::unordered_set<std::string> keep_;
  TreeIndex& index_;
  std::unordered_set<std::string> written_;
  std::unordered_map<std::string, std::set<std::string>> sharers_;  // By the path of the file that hard links share.
  std::optional<std::pair<std::string, std::string>> cached_;       // The folder looked up last, and where it leads.
};

LayerToIndex::LayerToIndex(const std::vector<std::string>& keep_content, TreeIndex& index)
    : application_(std::make_unique<Application>(keep_content, index)) {}
LayerToIndex::~LayerToIndex() = default;

Status LayerToIndex::apply(const Node& node, ByteSource& content) {
  return application_->apply(node, content);
}

Status apply_layer_to_index(ByteSource& layer_tar, const std::vector<std::string>& keep_content, TreeIndex& index) {
  LayerToIndex layer(keep_content, index);
  ASSIGN_OR_RETURN(TarReader reader, TarReader::open(layer_tar));
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<Node> node, reader.next());
    if (!node) return ok();
    RETURN_IF_ERROR(layer.apply(*node, reader.content()).in("'" + node->path + "'"));
  }
}

}  // namespace imagebuild::archive
