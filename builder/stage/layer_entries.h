// What one step puts into the file system: the content of its layer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "archive/node.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

using ContentOpener = std::function<Result<std::unique_ptr<ByteSource>>()>;

struct LayerEntry {
  archive::Node node;         // Removals are empty files named ".wh.NAME" (OCI image-spec, layer.md "Whiteouts").
  ContentOpener open;         // Of a regular file with content.
  std::uint64_t file_id = 0;  // Equal for the names of one hard-linked file; 0 for none.
};

// By path, parents before what they hold.
using LayerEntries = std::map<std::string, LayerEntry, archive::TreeIndex::PathOrder>;

// An entry for what `view` has at `found`; the view must outlive it.
LayerEntry entry_of(const TreeView& view, Found found);
// Of the entries that are names of one file, the first in order keeps the content and the others link to it.
void link_names(LayerEntries& entries);
// Adds the folders above the entries as `root` has them: an engine that unpacks a layer by itself (Docker's overlay2)
// makes missing parents with a mode of its own choice, which then hides the real one.
Status add_parents(const TreeView& root, LayerEntries& entries);
// Takes every later time back to `epoch_s` (SOURCE_DATE_EPOCH).
void clamp_times(LayerEntries& entries, std::int64_t epoch_s);
// Drops the extended attributes that a copy does not put into a layer: all but file capabilities (containerd's differ).
void keep_layer_xattrs(archive::Node& node);
// A name that begins with ".wh." would be read as a removal: kInvalidInput.
Status check_name(std::string_view path);

// Sees the content of a file pass by: returns what reads `content` on.
using ContentWatch =
    std::function<std::unique_ptr<ByteSource>(const archive::Node& node, std::unique_ptr<ByteSource> content)>;

// The uncompressed tar. kCancelled when `stop` is requested meanwhile.
Status write_tar(const LayerEntries& entries, ByteSink& sink, std::stop_token stop, const ContentWatch& watch = {});
// Puts the entries into the live root below `root_fd`.
Status apply_entries(const LayerEntries& entries, int root_fd, std::stop_token stop);

}  // namespace imagebuild::builder
