// What a tree of files holds, without its content: the index of a build context, of a stage's export, of a base image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "archive/node.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

// Nodes by path. Ordered so that a folder comes right before everything below it ('/' sorts before every other byte).
class TreeIndex {
 public:
  struct PathOrder {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const;
  };
  using Nodes = std::map<std::string, Node, PathOrder>;

  const Nodes& nodes() const { return nodes_; }
  // The node at exactly this path; symlinks are not followed. nullptr if there is none. "" is the root, which need not
  // have a node (then it is a folder 0755 of root).
  const Node* find(std::string_view path) const;
  // The names directly below a folder, sorted; also of a folder without a node that only has something below it.
  std::vector<std::string> children(std::string_view folder) const;
  // Adds or replaces. Replacing a folder by something else removes everything below it; missing parents are not made.
  void put(Node node);
  // Removes the node and everything below it.
  void remove(std::string_view path);
  // Removes everything below the folder but not the folder.
  void remove_below(std::string_view folder);
  // The sum of the sizes of the regular files.
  std::uint64_t content_bytes() const;

  // A compact binary form with a magic number and version; load() takes untrusted bytes (kCorrupt, kLimit).
  Status save(const std::filesystem::path& file) const;
  static Result<TreeIndex> load(const std::filesystem::path& file);

 private:
  Nodes nodes_;
};

// Reads one layer (an uncompressed tar) and brings `index` from the state below it to the state with it: entries are
// put, whiteouts and opaque folders remove what was there before (OCI image-spec, layer.md), symlinked parents are
// followed inside the tree, missing ones made (0755 of root, time 0). A hard link always names a file's own node, never
// another link; when that node goes, a link inherits it. What a layer breaks the rules with is kCorrupt, as in
// extract(). The content of regular files whose path is in `keep_content` and that have at most 1 MiB is kept in
// Node::content.
Status apply_layer_to_index(ByteSource& layer_tar, const std::vector<std::string>& keep_content, TreeIndex& index);

// The path that `path` (absolute or relative to the root, may have "." and "..") leads to inside the tree when symlinks
// are followed below the root ("/" and ".." never leave it). With `follow_last` the last part is followed too. Parts
// that do not exist are kept as they are. More than 40 links is kInvalidInput.
Result<std::string> resolve_in(const TreeIndex& index, std::string_view path, bool follow_last);

}  // namespace imagebuild::archive
