// What one layer stores and a later one hides: by a removal, or by the same file again.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "lint/image/image_checks.h"

namespace imagebuild::lint {

namespace {

using archive::Node;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

// Files of one earlier layer that a later one hides.
struct Hidden {
  std::uint64_t bytes = 0;
  std::size_t files = 0;
  const Node* largest = nullptr;
  bool owner = false;  // Of files that are stored again: what is new about them.
  bool mode = false;

  void add(const Node& node) {
    bytes += node.size_bytes;
    ++files;
    if (largest == nullptr || node.size_bytes > largest->size_bytes) largest = &node;
  }
  // "'/a' and 3 more files"
  std::string names() const {
    std::string text = "'" + shown_path(largest->path) + "'";
    if (files == 2) text += " and another file";
    if (files > 2) text += " and " + std::to_string(files - 1) + " more files";
    return text;
  }
};

// One that a layer has, and no later one hides so far.
struct Stored {
  std::size_t layer = 0;
  const Node* node = nullptr;
};

class LayerStack {
 public:
  LayerStack(const ImageInput& input, Warnings& warnings) : input_(input), warnings_(warnings) {}

  void run() {
    for (std::size_t i = 0; i < input_.layers.size(); ++i) {
      deleted_.clear();
      again_.clear();
      for (const auto& [path, node] : input_.layers[i].index.nodes()) remove(path);
      for (const auto& [path, node] : input_.layers[i].index.nodes()) {
        if (node.type == archive::NodeType::kFile && !name_of(path).starts_with(kWhiteout)) store(i, path, node);
      }
      for (const auto& [from, hidden] : deleted_) report_deleted(from, i, hidden);
      for (const auto& [from, hidden] : again_) report_again(from, i, hidden);
    }
  }

 private:
  using Files = std::map<std::string, Stored, archive::TreeIndex::PathOrder>;

  void remove(const std::string& path) {
    const std::string_view name = name_of(path);
    if (!name.starts_with(kWhiteout)) return;
    std::string gone = folder_of(path);
    if (name != kOpaque) {
      gone += (gone.empty() ? "" : "/") + std::string(name.substr(kWhiteout.size()));
      if (const auto at = files_.find(gone); at != files_.end()) forget(at);
    }
    const std::string prefix = gone.empty() ? "" : gone + "/";
    for (auto at = files_.lower_bound(prefix); at != files_.end() && at->first.starts_with(prefix);) at = forget(at);
  }

  Files::iterator forget(Files::iterator at) {
    const Stored& stored = at->second;
    deleted_[stored.layer].add(*stored.node);
    if (const auto content = contents_.find(content_of(*stored.node)); content != contents_.end()) {
      if (content->second.node == stored.node) contents_.erase(content);
    }
    return files_.erase(at);
  }

  void store(std::size_t layer, const std::string& path, const Node& node) {
    if (node.size_bytes == 0) return;
    const auto [at, is_new] = files_.try_emplace(path, Stored{layer, &node});
    if (!is_new) {
      if (is_same(*at->second.node, node)) note_again(at->second, node);
      at->second = Stored{layer, &node};
    }
    const Content content = content_of(node);
    if (content.first.empty()) return;
    const auto [first, is_new_content] = contents_.try_emplace(content, Stored{layer, &node});
    if (is_new_content || first->second.layer == layer) return;
    if (first->second.node->path != node.path) report_equal(first->second, layer, node);
    first->second = Stored{layer, &node};
  }

  void note_again(const Stored& before, const Node& node) {
    Hidden& hidden = again_[before.layer];
    hidden.add(node);
    hidden.owner = hidden.owner || node.uid != before.node->uid || node.gid != before.node->gid;
    hidden.mode = hidden.mode || node.mode != before.node->mode;
  }

  // Fingerprint and size; without a fingerprint for a small file.
  using Content = std::pair<std::string, std::uint64_t>;
  static Content content_of(const Node& node) {
    const auto found = node.xattrs.find(kFingerprint);
    return {found == node.xattrs.end() ? "" : found->second, node.size_bytes};
  }

  // Small files are taken for the same when size and time are, and only the owner or the mode is new.
  static bool is_same(const Node& a, const Node& b) {
    if (a.size_bytes != b.size_bytes) return false;
    const Content content = content_of(a);
    if (!content.first.empty()) return content == content_of(b);
    return a.mtime_s == b.mtime_s && (a.mode != b.mode || a.uid != b.uid || a.gid != b.gid);
  }

  std::string line(std::size_t layer) const { return "line " + std::to_string(input_.layers[layer].at.line); }

  void report_deleted(std::size_t from, std::size_t by, const Hidden& hidden) {
    if (hidden.bytes < kWorthBytes) return;
    const bool run = !input_.layers[from].script.empty();
    warnings_.push_back(
        {"DeletedInLaterLayer",
         line(by) + " deletes " + hidden.names() + " that " + line(from) + " stored, but the image keeps " +
             size_text(hidden.bytes) + " of it, since a layer is never changed; " +
             (run ? "delete it in the RUN of " + line(from) : "take it with RUN --mount=type=bind instead of COPY"),
         input_.layers[by].at});
  }

  void report_again(std::size_t from, std::size_t by, const Hidden& hidden) {
    if (hidden.bytes < kWorthBytes) return;
    const bool run = !input_.layers[from].script.empty();
    std::string what = hidden.owner && hidden.mode ? " only with another owner and mode"
                       : hidden.owner              ? " only with another owner"
                       : hidden.mode               ? " only with another mode"
                                                   : " with the same content";
    std::string fix = !hidden.owner && !hidden.mode ? "remove one of the two lines"
                      : run                         ? "do it in the RUN of " + line(from)
                            : std::string("write COPY ") + (hidden.owner ? "--chown=… " : "") +
                                  (hidden.mode ? "--chmod=… " : "") + "in " + line(from);
    warnings_.push_back({"SameFileInTwoLayers",
                         line(by) + " stores " + hidden.names() + " of " + line(from) + " once more," + what +
                             ", so the image has " + size_text(hidden.bytes) + " twice; " + fix,
                         input_.layers[by].at});
  }

  void report_equal(const Stored& first, std::size_t by, const Node& node) {
    if (!reported_.insert(content_of(node)).second) return;
    warnings_.push_back({"SameFileInTwoLayers",
                         "'" + shown_path(node.path) + "' of " + line(by) + " has the content of '" +
                             shown_path(first.node->path) + "' of " + line(first.layer) + ", so the image has " +
                             size_text(node.size_bytes) + " twice; keep one of them and make the other a link to it",
                         input_.layers[by].at});
  }

  const ImageInput& input_;
  Warnings& warnings_;
  Files files_;
  std::map<Content, Stored> contents_;     // Of large files: the last with that content.
  std::map<std::size_t, Hidden> deleted_;  // By the layer that stored them; of the layer that is looked at.
  std::map<std::size_t, Hidden> again_;
  std::set<Content> reported_;
};

}  // namespace

void check_stored_twice(const ImageInput& input, Warnings& warnings) {
  LayerStack(input, warnings).run();
}

}  // namespace imagebuild::lint
