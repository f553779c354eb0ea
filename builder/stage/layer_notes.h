// What is worth knowing of a layer when its image is checked (lint/image), noted while its content streams by.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/tree_index.h"
#include "base/stream.h"
#include "builder/stage/layer_entries.h"

namespace imagebuild::builder {

class LayerNotes {
 public:
  // For write_tar(). The bytes pass unchanged. This object must outlive what is returned.
  std::unique_ptr<ByteSource> watch(const archive::Node& node, std::unique_ptr<ByteSource> content);

  // Files that begin as a private key does in PEM, at most api::kMaxPrivateKeys, in the layer's order.
  const std::vector<std::string>& private_keys() const { return private_keys_; }

  // The layer's entries, large files with lint::kFingerprint. After the last of them was read.
  archive::TreeIndex index_of(const LayerEntries& entries) const;

 private:
  class Watched;

  std::vector<std::string> private_keys_;
  std::map<std::string, std::string> fingerprints_;  // By path.
};

}  // namespace imagebuild::builder
