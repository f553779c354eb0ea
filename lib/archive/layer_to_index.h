// Brings a tree index from the state below a layer to the state with it, an entry of the layer at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "archive/node.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

// One layer being applied, by the rules of apply_layer_to_index(). `index` must outlive it.
class LayerToIndex {
 public:
  LayerToIndex(const std::vector<std::string>& keep_content, TreeIndex& index);
  ~LayerToIndex();
  LayerToIndex(const LayerToIndex&) = delete;
  LayerToIndex& operator=(const LayerToIndex&) = delete;

  // The layer's next entry, whiteouts included. `content` is read only where it is kept.
  Status apply(const Node& node, ByteSource& content);

 private:
  class Application;
  std::unique_ptr<Application> application_;
};

}  // namespace imagebuild::archive
