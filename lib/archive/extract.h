// Applies a layer to a folder on disk (OCI image-spec, layer.md "Applying Changesets").
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "archive/tar_reader.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

struct ExtractOptions {
  ReadLimits limits;
  // Keep owners, device nodes, set-id bits and the attributes security.* and trusted.*. Off for a caller without root:
  // files then belong to the caller, and a device node is kUnsupported.
  bool keep_owners = true;
  // Interpret ".wh." names (a layer). Off for a plain archive that ADD unpacks.
  bool whiteouts = true;
  // Told about each entry after it was written; not about whiteouts.
  std::function<void(const Node&)> on_node;
};

// Reads the uncompressed tar and changes the tree below the open folder `root_fd`. No entry touches anything outside:
// every parent is resolved below the root with symlinks followed inside it, and no link on the way can lead out, not
// even one that another process swaps in meanwhile. An entry replaces what is there unless both are folders. Folders
// get their times last. A whiteout hides what was there before, never what this archive itself brought, in whatever
// order they come. Missing parents are made, 0755 of root with time 0; the process's umask does not matter. An extended
// attribute that the file system cannot keep is kUnsupported, and so are overlayfs's own marks (its attributes, the
// character device 0/0): unpacked, they would change what an overlay mount shows. On an error the tree is left
// half-written: extract into a fresh folder and rename it.
Status extract(ByteSource& tar, int root_fd, const ExtractOptions& options);

// The same in one pass with apply_layer_to_index(): the layer is read once for the folder and for the index.
Status extract_and_index(ByteSource& tar, int root_fd, const ExtractOptions& options,
                         const std::vector<std::string>& keep_content, TreeIndex& index);

}  // namespace imagebuild::archive
