#include "builder/stage/copy_folder.h"

#include <map>
#include <utility>

namespace imagebuild::builder {

namespace {

using archive::NodeType;

constexpr unsigned kOriginShift = 40;  // No tree has so many hard-linked files.

LayerEntry entry_from(const CopyOrigin& from, Found found, const std::string& path, const CopyMetadata& metadata) {
  LayerEntry entry = entry_of(from.tree, std::move(found));
  if (entry.file_id != 0) entry.file_id |= from.number << kOriginShift;
  entry.node.path = path;
  keep_layer_xattrs(entry.node);
  metadata.apply(entry.node);
  return entry;
}

class FolderCopy {
 public:
  FolderCopy(const CopyOrigin& from, const std::string& destination, const CopyMetadata& metadata, CopyTarget& target)
      : from_(from), metadata_(metadata), target_(target) {
    places_[""] = destination;
  }

  Status put(const Found& found, const std::string& inner, CopySelection::As as) {
    const std::string path = join_path(places_.at(parent_path(inner)), last_part(inner));
    if (found.node.type != NodeType::kDirectory) return copy_object(from_, found, path, metadata_, target_);
    ASSIGN_OR_RETURN(const std::string real, target_.folder_for(path, found.node.path));
    places_[inner] = real;
    if (real != path) return imagebuild::ok();
    LayerEntry entry = entry_from(from_, found, path, metadata_);
    if (as == CopySelection::As::kParent) {
      ASSIGN_OR_RETURN(const std::optional<Found> here, target_.lookup(path));
      if (here) entry = with_mode(*here, found.node.mode);
    }
    target_.put_folder(std::move(entry));
    return imagebuild::ok();
  }

 private:
  // A folder that was there and only holds what is copied: BuildKit gives it the source's mode and no more.
  static LayerEntry with_mode(const Found& here, std::uint32_t mode) {
    LayerEntry entry;
    entry.node = here.node;
    entry.node.mode = mode;
    return entry;
  }

  const CopyOrigin& from_;
  const CopyMetadata& metadata_;
  CopyTarget& target_;
  std::map<std::string, std::string> places_;  // Where each folder of the source lies in the target.
};

}  // namespace

void CopyMetadata::apply(archive::Node& node) const {
  if (owner) {
    node.uid = owner->uid;
    node.gid = owner->gid;
  } else if (!keeps_owners) {
    node.uid = node.gid = 0;
  }
  if (mode && node.type != NodeType::kSymlink) {
    node.mode = mode->apply(node.mode, node.type == NodeType::kDirectory);
  }
}

Status copy_object(const CopyOrigin& from, Found found, const std::string& path, const CopyMetadata& metadata,
                   CopyTarget& target) {
  return target.put(entry_from(from, std::move(found), path, metadata));
}

Status copy_folder(const CopyOrigin& from, const std::string& real, const CopySelection& selection,
                   const NamedSource& source, const std::string& destination, const CopyMetadata& metadata,
                   CopyTarget& target) {
  FolderCopy copy(from, destination, metadata, target);
  return selection.walk(from.tree, real, source,
                        [&copy](const Found& found, const std::string& inner, CopySelection::As as) {
                          return copy.put(found, inner, as);
                        });
}

}  // namespace imagebuild::builder
