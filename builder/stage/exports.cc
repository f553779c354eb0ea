#include "builder/stage/exports.h"

#include <fcntl.h>

#include <system_error>

#include "archive/tar_writer.h"
#include "base/file.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/sources.h"

namespace imagebuild::builder {
namespace {

using archive::NodeType;

class Collection {
 public:
  explicit Collection(const TreeView& root) : root_(root) {}

  Status add_pattern(const std::string& pattern) {
    std::vector<std::string> passed;
    if (pattern.find("**") != std::string::npos) RETURN_IF_ERROR(add_deep_pattern(pattern, passed));
    ASSIGN_OR_RETURN(const std::vector<std::string> matches, match_sources(root_, pattern, &passed));
    for (const std::string& match : matches) {
      ASSIGN_OR_RETURN(const std::string real, root_.resolve(match, true, &passed));
      ASSIGN_OR_RETURN(std::optional<Found> found, root_.lookup(real));
      if (!found) continue;
      const bool folder = found->node.type == NodeType::kDirectory;
      put(std::move(*found));
      if (folder) {
        RETURN_IF_ERROR(root_.walk(real, [this](const Found& below) {
          put(below);
          return imagebuild::ok();
        }));
      }
    }
    for (const std::string& path : passed) {
      if (entries.contains(path)) continue;
      ASSIGN_OR_RETURN(std::optional<Found> found, root_.lookup(path));
      // What is merely passed is a folder or a link; a file there is the end of the way and was put already.
      if (found && found->node.type != NodeType::kFile) put(std::move(*found));
    }
    return imagebuild::ok();
  }

  LayerEntries entries;

 private:
  // For COPY --parents "**" is any folders, for a plain COPY it is "*": what either takes.
  Status add_deep_pattern(const std::string& pattern, std::vector<std::string>& passed) {
    const auto [folder, rest] = split_at_wildcard(pattern);
    ASSIGN_OR_RETURN(const std::string real, root_.resolve(folder, true, &passed));
    ASSIGN_OR_RETURN(const std::optional<Found> found, root_.lookup(real));
    if (!found || found->node.type != NodeType::kDirectory) return imagebuild::ok();
    ASSIGN_OR_RETURN(const Glob glob, Glob::parse(rest, Glob::Syntax::kIgnore));
    return CopySelection().walk(root_, real, NamedSource{folder, glob},
                                [this](const Found& below, const std::string&, CopySelection::As) {
                                  put(below);
                                  return imagebuild::ok();
                                });
  }

  void put(Found found) {
    std::string path = found.node.path;
    if (!path.empty()) entries.insert_or_assign(std::move(path), entry_of(root_, std::move(found)));
  }
  const TreeView& root_;
};

Result<std::uint64_t> write(const LayerEntries& entries, const std::filesystem::path& tar,
                            const std::filesystem::path& index, std::stop_token stop) {
  std::error_code error;
  if (std::filesystem::hard_link_count(tar, error) > 1 && !error) {
    std::filesystem::remove(tar, error);  // The other name is a cache's, and so are the bytes.
  }
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(tar, O_WRONLY | O_CREAT | O_TRUNC));
  FileSink sink(std::move(fd));
  archive::TarWriter writer(sink);
  archive::TreeIndex nodes;
  for (const auto& [path, entry] : entries) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "the build was stopped"};
    std::unique_ptr<ByteSource> content;
    if (entry.open) {
      ASSIGN_OR_RETURN(content, entry.open());
    }
    RETURN_IF_ERROR(writer.add(entry.node, content.get()));
    archive::Node node = entry.node;
    if (node.type == NodeType::kFile) node.data_offset = writer.last_content_offset();
    nodes.put(std::move(node));
  }
  RETURN_IF_ERROR(writer.finish());
  RETURN_IF_ERROR(nodes.save(index));
  return nodes.content_bytes();
}

}  // namespace

Result<std::uint64_t> write_exports(const TreeView& root, const std::vector<std::string>& patterns,
                                    const std::filesystem::path& tar, const std::filesystem::path& index,
                                    std::stop_token stop) {
  Collection collection(root);
  for (const std::string& pattern : patterns) RETURN_IF_ERROR(collection.add_pattern(pattern));
  RETURN_IF_ERROR(add_parents(root, collection.entries));
  link_names(collection.entries);
  return write(collection.entries, tar, index, stop);
}

}  // namespace imagebuild::builder
