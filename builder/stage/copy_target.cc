#include "builder/stage/copy_target.h"

#include <utility>

namespace imagebuild::builder {

using archive::NodeType;

Result<std::optional<Found>> CopyTarget::lookup(const std::string& path) const {
  if (const auto entry = entries_.find(path); entry != entries_.end()) {
    return std::optional<Found>(Found{entry->second.node, entry->second.file_id});
  }
  // What the root has below a folder that the copy has replaced by something else is gone.
  for (std::string parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    const auto entry = entries_.find(parent);
    if (entry != entries_.end() && entry->second.node.type != NodeType::kDirectory) return std::optional<Found>();
  }
  return root_.lookup(path);
}

Status CopyTarget::make_folders(const std::string& path, std::uint32_t mode) {
  if (path.empty() || path == last_folder_) return imagebuild::ok();
  ASSIGN_OR_RETURN(const std::optional<Found> here, lookup(path));
  if (here && here->node.type == NodeType::kDirectory) {
    last_folder_ = path;
    return imagebuild::ok();
  }
  if (here) {
    return Error{ErrorCode::kInvalidInput, "'" + shown(path) + "' has to be a folder, but it is a file in the stage"};
  }
  RETURN_IF_ERROR(make_folders(parent_path(path), mode));
  LayerEntry folder;
  folder.node.path = path;
  folder.node.type = NodeType::kDirectory;
  folder.node.mode = mode;
  folder.node.uid = owner_.uid;
  folder.node.gid = owner_.gid;
  folder.node.mtime_s = epoch_s_;
  put_folder(std::move(folder));
  return imagebuild::ok();
}

void CopyTarget::put_folder(LayerEntry entry) {
  std::string path = entry.node.path;
  entries_.insert_or_assign(std::move(path), std::move(entry));
}

Status CopyTarget::put(LayerEntry entry) {
  ASSIGN_OR_RETURN(const std::optional<Found> here, lookup(entry.node.path));
  if (here && here->node.type == NodeType::kDirectory) {
    return Error{ErrorCode::kInvalidInput,
                 "cannot put a file in the place of the folder '" + shown(entry.node.path) + "'"};
  }
  RETURN_IF_ERROR(make_folders(parent_path(entry.node.path)));
  return replace(std::move(entry));
}

Status CopyTarget::replace(LayerEntry entry) {
  RETURN_IF_ERROR(check_name(entry.node.path));
  RETURN_IF_ERROR(make_folders(parent_path(entry.node.path), kFolderMode));
  std::string path = entry.node.path;
  if (entry.node.type != NodeType::kDirectory) {
    if (is_at_or_below(last_folder_, path)) last_folder_.clear();
    auto below = entries_.upper_bound(path);
    while (below != entries_.end() && is_at_or_below(below->first, path)) below = entries_.erase(below);
  }
  entries_.insert_or_assign(std::move(path), std::move(entry));
  return imagebuild::ok();
}

Result<std::string> CopyTarget::folder_for(const std::string& path, const std::string& source) {
  ASSIGN_OR_RETURN(const std::optional<Found> here, lookup(path));
  if (!here || here->node.type == NodeType::kDirectory) return path;
  if (here->node.type == NodeType::kSymlink) {
    ASSIGN_OR_RETURN(std::string real, resolve(path, true));
    ASSIGN_OR_RETURN(const std::optional<Found> there, lookup(real));
    if (there && there->node.type == NodeType::kDirectory) return real;
  }
  return Error{ErrorCode::kInvalidInput, "cannot copy the folder '" + shown(source) + "' to '" + shown(path) +
                                             "', which is not a folder in the stage"};
}

}  // namespace imagebuild::builder
