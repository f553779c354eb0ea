#include "builder/job/context_digest.h"

#include <array>
#include <string>
#include <vector>

#include "api/volume.h"
#include "archive/tree.h"
#include "builder/prepare/stoppable.h"

namespace imagebuild::builder {

namespace {

namespace volume = api::volume;
using archive::Node;
using archive::NodeType;

// Hashes texts so that no two lists of them look the same: each with its length before it.
class TextHasher {
 public:
  void add(std::string_view text) {
    add_number(text.size());
    hasher_.update(as_bytes(text));
  }
  void add_number(std::uint64_t number) { hasher_.update(as_bytes(std::to_string(number) + ":")); }
  Status add_content(ByteSource& source) {
    while (true) {
      ASSIGN_OR_RETURN(const std::size_t count, source.read(buffer_));
      if (count == 0) return ok();
      hasher_.update(std::span(buffer_).first(count));
    }
  }
  oci::Digest finish() { return hasher_.finish(); }

 private:
  oci::Hasher hasher_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(256 * 1024);
};

void add_node(const Node& node, TextHasher& hasher) {
  hasher.add(node.path);
  hasher.add_number(static_cast<std::uint64_t>(node.type));
  hasher.add_number(node.mode);
  hasher.add(node.link);
  hasher.add_number(node.device_major);
  hasher.add_number(node.device_minor);
  hasher.add_number(node.xattrs.size());
  for (const auto& [name, value] : node.xattrs) {
    hasher.add(name);
    hasher.add(value);
  }
  hasher.add_number(node.size_bytes);
}

}  // namespace

Result<oci::Digest> context_digest(const std::filesystem::path& root, std::string_view dockerfile,
                                   const std::stop_token& stop) {
  TextHasher hasher;
  hasher.add("imagebuild context 1");
  hasher.add(dockerfile);
  ASSIGN_OR_RETURN(archive::TreeIndex index, archive::TreeIndex::load(root / volume::kContextIndex));
  if (index.nodes().empty()) return hasher.finish();
  ASSIGN_OR_RETURN(const archive::Tree tree,
                   archive::Tree::open_tar(root / volume::kContextTar, std::move(index)).in("the context"));
  for (const auto& [path, node] : tree.index().nodes()) {
    add_node(node, hasher);
    if (node.type != NodeType::kFile) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, tree.open(node));
    RETURN_IF_ERROR(hasher.add_content(*stoppable(std::move(content), stop)).in(path));
  }
  return hasher.finish();
}

}  // namespace imagebuild::builder
