// Trees in memory and on disk for tests of stages, and a way to write down what a layer holds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "archive/tree_index.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::testing {

// A tree that is written as lines: "dir/ 0755 1:2", "file 0644 0:0 =content", "link ->target", "name @file" (a hard
// link). Mode and owner may be left out (0755 or 0644, root). Times are 1000.
class MemoryTree {
 public:
  MemoryTree(std::initializer_list<std::string> lines);
  explicit MemoryTree(const std::vector<std::string>& lines);
  const builder::TreeView& view() const { return *view_; }
  archive::TreeIndex& index() { return index_; }

 private:
  archive::TreeIndex index_;
  std::unique_ptr<builder::IndexView> view_;
};

// One line an entry, in the same words, with modes and owners: "srv/ 0755 0:0", "srv/a 0644 0:0 =text".
std::vector<std::string> written(const builder::LayerEntries& entries);
// The same of a folder on disk, with times and attributes, for comparing two folders.
std::vector<std::string> written(const std::filesystem::path& folder);

}  // namespace imagebuild::testing
