#include "builder/prepare/context.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "archive/path.h"
#include "archive/tar_reader.h"
#include "archive/tar_writer.h"
#include "archive/tree.h"
#include "base/file.h"
#include "builder/prepare/folder_walk.h"
#include "builder/prepare/stoppable.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
using archive::Node;
using archive::NodeType;
using archive::TreeIndex;

namespace {

// A pipe has no positions to read from: it is read in order.
class PipeSource final : public ByteSource {
 public:
  explicit PipeSource(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    while (true) {
      const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return system_error("read", errno);
    }
  }

 private:
  UniqueFd fd_;
};

// Whether the entry is below the folder `sub_path`; its path and that of a hard link are then relative to that.
Result<bool> move_to_sub_path(const std::string& sub_path, Node& node) {
  if (sub_path.empty()) return true;
  if (!archive::is_below(node.path, sub_path)) return false;
  if (node.type == NodeType::kHardlink) {
    if (!archive::is_below(node.link, sub_path)) {
      return Error{ErrorCode::kUnsupported, "'" + node.path + "' is a hard link to '" + node.link +
                                                "', which is outside of the folder '" + sub_path + "'"};
    }
    node.link.erase(0, sub_path.size() + 1);
  }
  node.path.erase(0, sub_path.size() + 1);
  return true;
}

// Tars may leave folders out: whoever unpacks them makes 0755 ones, and so can COPY name them.
void add_missing_folders(TreeIndex& index) {
  std::vector<std::string> missing;
  for (const auto& [path, node] : index.nodes()) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      std::string parent = path.substr(0, slash);
      if (index.find(parent) == nullptr && (missing.empty() || missing.back() != parent)) {
        missing.push_back(std::move(parent));
      }
    }
  }
  for (std::string& path : missing) {
    Node folder;
    folder.path = std::move(path);
    folder.type = NodeType::kDirectory;
    folder.mode = 0755;
    index.put(std::move(folder));
  }
}

// The hard links of a tar whose entries go into `index` one by one. A link names the file's own node, never a link.
class SharedNames {
 public:
  explicit SharedNames(TreeIndex& index) : index_(index) {}

  // Puts a link to what is there by now.
  Status share(Node link) {
    const Node* target = index_.find(link.link);
    if (target != nullptr && target->type == NodeType::kHardlink) target = index_.find(target->link);
    if (target == nullptr || target->type != NodeType::kFile) {
      return Error{ErrorCode::kCorrupt, "the hard link '" + link.path + "' leads to nothing before it"};
    }
    if (target->path == link.path) return ok();
    link.link = target->path;
    leave(link.path);
    names_[link.link].push_back(link.path);
    index_.put(std::move(link));
    return ok();
  }

  // Something else comes to `path`: a file that has other names goes on under the first of them.
  void leave(const std::string& path) {
    const auto names = names_.extract(path);
    const Node* const file = index_.find(path);
    if (names.empty() || file == nullptr) return;
    Node heir = *file;
    heir.path.clear();
    for (const std::string& name : names.mapped()) {
      const Node* const link = index_.find(name);
      if (link == nullptr || link->type != NodeType::kHardlink || link->link != path) continue;
      if (heir.path.empty()) {
        heir.path = name;
        index_.put(heir);
      } else {
        Node moved = *link;
        moved.link = heir.path;
        names_[heir.path].push_back(name);
        index_.put(std::move(moved));
      }
    }
  }

  // No link has lost its file with the folder that held it.
  Status check() const {
    for (const auto& [file, names] : names_) {
      const Node* const node = index_.find(file);
      if (node != nullptr && node->type == NodeType::kFile) continue;
      return Error{ErrorCode::kCorrupt, "the file '" + file + "', which has hard links, is replaced by a later entry"};
    }
    return ok();
  }

 private:
  TreeIndex& index_;
  std::map<std::string, std::vector<std::string>> names_;  // By file; some may have gone on.
};

// Rewrites a tar from outside through our own reader and writer, so that every later reader meets only clean nodes.
Result<TreeIndex> rewrite_tar(std::unique_ptr<ByteSource> content, const fs::path& tar_file,
                              const std::string& sub_path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> tar, archive::open_if_archive(std::move(content)));
  if (tar == nullptr) {
    return Error{ErrorCode::kInvalidInput, "neither a folder nor a tar archive"};
  }
  ASSIGN_OR_RETURN(archive::TarReader reader, archive::TarReader::open(*tar));
  ASSIGN_OR_RETURN(UniqueFd file, open_file(tar_file, O_WRONLY | O_CREAT | O_TRUNC));
  FileSink sink(std::move(file));
  archive::TarWriter writer(sink);
  TreeIndex index;
  SharedNames names(index);
  bool sub_path_seen = sub_path.empty();
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Node> node, reader.next());
    if (!node) break;
    if (node->path.empty()) continue;
    sub_path_seen = sub_path_seen || (node->path == sub_path && node->type == NodeType::kDirectory);
    ASSIGN_OR_RETURN(const bool inside, move_to_sub_path(sub_path, *node));
    if (!inside) continue;
    sub_path_seen = true;
    node->uid = 0;
    node->gid = 0;
    if (node->type == NodeType::kHardlink) {
      RETURN_IF_ERROR(names.share(*node));
      continue;
    }
    RETURN_IF_ERROR(writer.add(*node, &reader.content()));
    if (node->type == NodeType::kFile) node->data_offset = writer.last_content_offset();
    names.leave(node->path);
    index.put(std::move(*node));
  }
  RETURN_IF_ERROR(writer.finish());
  RETURN_IF_ERROR(names.check());
  if (!sub_path_seen) return Error{ErrorCode::kNotFound, "there is no folder '" + sub_path + "'"};
  add_missing_folders(index);
  return index;
}

// A file whose path has no link that leads out of the folder.
Result<fs::path> path_inside(const fs::path& folder, const fs::path& path) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return system_error(folder.string(), error.value());
  fs::path real = fs::canonical(folder / path.relative_path(), error);
  if (error) return system_error(path.string(), error.value());
  if (*real.lexically_relative(root).begin() == "..") {
    return Error{ErrorCode::kInvalidInput, "'" + path.string() + "' is a link that leads out of the context"};
  }
  if (!fs::is_regular_file(real, error)) {
    return Error{ErrorCode::kInvalidInput, "'" + path.string() + "' is not a file"};
  }
  return real;
}

// What the rules leave of a tar's index.
TreeIndex filter(const TreeIndex& all, const dockerfile::IgnoreRules& rules) {
  TreeIndex kept;
  std::map<std::string, std::string> heirs;  // Of files that are left out: the first name of each that is kept.
  for (const auto& [path, node] : all.nodes()) {
    if (rules.excludes(path)) continue;
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string parent = path.substr(0, slash);
      const Node* folder = all.find(parent);
      if (folder != nullptr && kept.find(parent) == nullptr) kept.put(*folder);
    }
    if (node.type != NodeType::kHardlink || !rules.excludes(node.link)) {
      kept.put(node);
      continue;
    }
    const auto [heir, is_first] = heirs.try_emplace(node.link, path);
    Node name = is_first ? *all.find(node.link) : node;
    name.path = path;
    if (!is_first) name.link = heir->second;
    kept.put(std::move(name));
  }
  return kept;
}

}  // namespace

Result<Context> Context::open(const std::string& given, const fs::path& tar_file, ContextOptions options) {
  Context context;
  context.options_ = std::move(options);
  std::error_code error;
  const fs::file_status status = fs::status(given, error);
  if (given != "-" && fs::is_directory(status)) {
    context.folder_ = fs::absolute(given).lexically_normal();
    return context;
  }
  if (given != "-" && !fs::exists(status)) {
    return Error{ErrorCode::kNotFound, "the context '" + given + "' does not exist"};
  }
  UniqueFd input(given == "-" ? ::dup(STDIN_FILENO) : ::open(given.c_str(), O_RDONLY | O_CLOEXEC));
  if (!input.valid()) return system_error("the context '" + given + "'", errno);

  fs::create_directories(tar_file.parent_path(), error);
  const std::string name = given == "-" ? "on stdin" : "'" + given + "'";
  Result<TreeIndex> index =
      rewrite_tar(stoppable(std::make_unique<PipeSource>(std::move(input)), context.options_.stop), tar_file,
                  context.options_.sub_path);
  if (!index.ok()) {
    // A broken tar is for the user to mend, whoever broke it.
    const bool broken = index.error().code == ErrorCode::kCorrupt;
    const Error located = index.error().in("the context " + name);
    return broken ? Error{ErrorCode::kInvalidInput, located.message} : located;
  }
  context.tar_index_ = std::move(*index);
  context.tar_file_ = tar_file;
  return context;
}

Result<std::optional<std::string>> Context::read(const fs::path& path, std::uint64_t max_bytes) const {
  if (!folder_.empty()) {
    Result<fs::path> file = folder_ / path.relative_path();
    if (options_.confined) file = path_inside(folder_, path);
    Result<std::string> content = file.ok() ? read_file(*file, max_bytes) : Result<std::string>(file.error());
    if (content.ok()) return std::optional(std::move(*content));
    if (content.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    return content.error();
  }
  ASSIGN_OR_RETURN(const std::string real, archive::resolve_in(tar_index_, path.string(), true));
  const Node* node = tar_index_.find(real);
  if (node != nullptr && node->type == NodeType::kHardlink) node = tar_index_.find(node->link);
  if (node == nullptr || node->type != NodeType::kFile) return std::optional<std::string>();
  ASSIGN_OR_RETURN(const archive::Tree tree, archive::Tree::open_tar(tar_file_, tar_index_));
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, tree.open(*node));
  ASSIGN_OR_RETURN(std::string content, read_all(*source, max_bytes));
  return std::optional(std::move(content));
}

Result<std::vector<std::string>> Context::top_names() const {
  if (folder_.empty()) return tar_index_.children("");
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    names.push_back(entry.path().filename().string());
  }
  if (error) return system_error(folder_.string(), error.value());
  std::ranges::sort(names);
  return names;
}

Result<TreeIndex> Context::index(const dockerfile::IgnoreRules& rules, archive::FileVersions* versions) const {
  if (folder_.empty()) return rules.empty() ? tar_index_ : filter(tar_index_, rules);
  ASSIGN_OR_RETURN(UniqueFd folder, open_file(folder_, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(FolderListing listing, list_folder(std::move(folder), rules).in("the context " + folder_.string()));
  if (versions != nullptr) *versions = std::move(listing.versions);
  return std::move(listing.index);
}

Result<TreeIndex> Context::pack(const TreeIndex& index, const fs::path& tar_file) const {
  ASSIGN_OR_RETURN(const archive::Tree tree, archive::Tree::open_directory(folder_, index));
  ASSIGN_OR_RETURN(UniqueFd file, open_file(tar_file, O_WRONLY | O_CREAT | O_TRUNC));
  FileSink sink(std::move(file));
  archive::TarWriter writer(sink);
  TreeIndex packed;
  for (const auto& [path, node] : index.nodes()) {
    std::unique_ptr<ByteSource> content;
    if (node.type == NodeType::kFile) {
      ASSIGN_OR_RETURN(content, tree.open(node));
      content = stoppable(std::move(content), options_.stop);
    }
    RETURN_IF_ERROR(writer.add(node, content.get()).in(path));
    Node placed = node;
    if (node.type == NodeType::kFile) placed.data_offset = writer.last_content_offset();
    packed.put(std::move(placed));
  }
  RETURN_IF_ERROR(writer.finish());
  return packed;
}

}  // namespace imagebuild::builder
