#include "builder/stage/layer_entries.h"

#include <unistd.h>

#include <thread>
#include <utility>
#include <vector>

#include "archive/extract.h"
#include "archive/tar_writer.h"
#include "base/byte_channel.h"

namespace imagebuild::builder {
namespace {

constexpr std::size_t kChannelBytes = 1U << 20;

}  // namespace

LayerEntry entry_of(const TreeView& view, Found found) {
  LayerEntry entry{std::move(found.node), nullptr, found.file_id};
  entry.node.data_offset.reset();
  entry.node.content.reset();
  if (entry.node.type == archive::NodeType::kFile && entry.node.size_bytes > 0) {
    // Entries are copied more often than they are opened.
    entry.open = [&view, node = std::make_shared<const archive::Node>(entry.node)] { return view.open(*node); };
  }
  return entry;
}

void link_names(LayerEntries& entries) {
  std::map<std::uint64_t, const LayerEntry*> first_names;
  for (auto& [path, entry] : entries) {
    if (entry.file_id == 0 || entry.node.type == archive::NodeType::kHardlink) continue;
    const auto [first, is_first] = first_names.try_emplace(entry.file_id, &entry);
    if (is_first) continue;
    entry.node.type = archive::NodeType::kHardlink;
    entry.node.link = first->second->node.path;
    entry.node.size_bytes = 0;
    entry.node.xattrs.clear();
    entry.open = nullptr;
  }
}

Status add_parents(const TreeView& root, LayerEntries& entries) {
  std::vector<std::string> missing;
  std::string last;
  for (const auto& [path, entry] : entries) {
    std::string parent = parent_path(path);
    if (parent == last) continue;
    last = parent;
    for (; !parent.empty() && !entries.contains(parent); parent = parent_path(parent)) missing.push_back(parent);
  }
  for (const std::string& path : missing) {
    if (entries.contains(path)) continue;
    ASSIGN_OR_RETURN(std::optional<Found> found, root.lookup(path));
    if (!found || found->node.type != archive::NodeType::kDirectory) continue;
    entries.emplace(path, entry_of(root, std::move(*found)));
  }
  return imagebuild::ok();
}

void clamp_times(LayerEntries& entries, std::int64_t epoch_s) {
  for (auto& [path, entry] : entries) entry.node.mtime_s = std::min(entry.node.mtime_s, epoch_s);
}

void keep_layer_xattrs(archive::Node& node) {
  std::erase_if(node.xattrs, [](const auto& xattr) { return xattr.first != "security.capability"; });
}

Status check_name(std::string_view path) {
  if (!last_part(path).starts_with(".wh.")) return imagebuild::ok();
  return Error{ErrorCode::kInvalidInput, "'" + shown(path) +
                                             "' cannot be kept in an image: a name that begins with '.wh.' means a "
                                             "removal there, so rename or delete it"};
}

Status write_tar(const LayerEntries& entries, ByteSink& sink, std::stop_token stop, const ContentWatch& watch) {
  archive::TarWriter tar(sink);
  for (const auto& [path, entry] : entries) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "the build was stopped"};
    std::unique_ptr<ByteSource> content;
    if (entry.open) {
      ASSIGN_OR_RETURN(content, entry.open());
      if (watch) content = watch(entry.node, std::move(content));
    }
    RETURN_IF_ERROR(tar.add(entry.node, content.get()));
  }
  return tar.finish();
}

Status apply_entries(const LayerEntries& entries, int root_fd, std::stop_token stop) {
  ByteChannel::Ends ends = ByteChannel::create(kChannelBytes);
  Status written = imagebuild::ok();
  std::thread writer([&, sink = std::move(ends.writer)] {
    written = write_tar(entries, *sink, stop);
    if (written.ok()) {
      sink->close();
    } else {
      sink->close(written.error());
    }
  });
  archive::ExtractOptions options;
  options.keep_owners = ::geteuid() == 0;
  const Status extracted = archive::extract(*ends.reader, root_fd, options);
  ends.reader.reset();  // A writer that still waits for room gives up.
  writer.join();
  // The reader's own error is the cause when the writer only lost its reader.
  if (!extracted.ok()) return extracted;
  return written;
}

}  // namespace imagebuild::builder
