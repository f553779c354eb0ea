#include "builder/stage/copy.h"

#include <optional>
#include <utility>
#include <variant>

#include "archive/tar_reader.h"
#include "builder/stage/copy_folder.h"
#include "builder/stage/copy_target.h"
#include "builder/stage/sources.h"
#include "builder/stage/unpack.h"

namespace imagebuild::builder {
namespace {

using archive::NodeType;

// What one COPY or ADD does, source by source.
class Copy {
 public:
  Copy(const api::CopyStep& step, const CopyPlaces& places, const TreeView& root, CopySelection selection,
       CopyMetadata metadata)
      : step_(step),
        places_(places),
        local_{places.source, places.source_name, 0},
        selection_(std::move(selection)),
        metadata_(std::move(metadata)),
        target_(root, metadata_.owner.value_or(Owner{}), places.epoch_s, folder_mode(metadata_)) {}

  Result<LayerEntries> run() {
    ASSIGN_OR_RETURN(const std::vector<NamedSource> sources, selection_.find(places_.source));
    const std::size_t count = sources.size() + step_.remotes.size() + step_.inline_sources.size();
    if (count == 0 && !step_.parents) return std::move(target_.entries());
    ASSIGN_OR_RETURN(destination_, target_.resolve(step_.destination, true));
    if (step_.destination_is_folder || step_.parents) RETURN_IF_ERROR(target_.make_folders(destination_));
    many_ = count > 1;
    for (const NamedSource& source : sources) {
      RETURN_IF_ERROR(step_.parents ? copy_with_parents(source) : copy_source(source));
    }
    for (std::size_t i = 0; i < step_.remotes.size(); ++i) RETURN_IF_ERROR(copy_remote(i));
    for (const api::InlineFile& file : step_.inline_sources) RETURN_IF_ERROR(put_inline(file));
    link_names(target_.entries());
    return std::move(target_.entries());
  }

 private:
  // Folders that have to be made take --chmod too, as if it were applied to a folder 0755 (fsutil's copy).
  static std::uint32_t folder_mode(const CopyMetadata& metadata) {
    constexpr std::uint32_t kPermissions = 0777;
    if (!metadata.mode) return CopyTarget::kFolderMode;
    return metadata.mode->apply(CopyTarget::kFolderMode, true) & kPermissions;
  }

  // Where something of this name goes: into the destination if that is a folder, else in its place.
  Result<std::string> place_of(const std::string& name) {
    ASSIGN_OR_RETURN(const std::optional<Found> there, target_.lookup(destination_));
    if (there && there->node.type == NodeType::kDirectory) return join_path(destination_, name);
    if (!many_) return destination_;
    return Error{ErrorCode::kInvalidInput, "several sources match, so the destination must be a folder: write it as '" +
                                               step_.destination + "/'"};
  }

  Error missing(const std::string& source) const {
    return Error{ErrorCode::kNotFound, "COPY failed: no such file '" + source + "' in " + local_.name +
                                           nearest_path_hint(local_.tree, source)};
  }

  Status copy_source(const NamedSource& source) {
    ASSIGN_OR_RETURN(const std::string real, local_.tree.resolve(source.path, true));
    ASSIGN_OR_RETURN(std::optional<Found> found, local_.tree.lookup(real));
    if (!found) return missing(source.path);
    if (found->node.type == NodeType::kDirectory) {
      ASSIGN_OR_RETURN(const std::string folder, target_.folder_for(destination_, source.path));
      RETURN_IF_ERROR(target_.make_folders(folder));
      return copy_folder(local_, real, selection_, source, folder, metadata_, target_);
    }
    if (step_.unpack_archives && found->node.type == NodeType::kFile) {
      ASSIGN_OR_RETURN(const bool unpacked, unpack_file(local_, found->node, shown(real)));
      if (unpacked) return imagebuild::ok();
    }
    ASSIGN_OR_RETURN(const std::string path, place_of(last_part(source.path)));
    return copy_object(local_, std::move(*found), path, metadata_, target_);
  }

  // --parents: the destination is always a folder, and what `source` matches keeps the folders it stands in.
  Status copy_with_parents(const NamedSource& source) {
    ASSIGN_OR_RETURN(const std::string real, local_.tree.resolve(source.path, true));
    ASSIGN_OR_RETURN(const std::optional<Found> found, local_.tree.lookup(real));
    if (!found || found->node.type != NodeType::kDirectory) return missing(source.path);
    if (source.inside && source.inside->is_literal()) RETURN_IF_ERROR(check_is_there(real, source));
    return copy_folder(local_, real, selection_, source, destination_, metadata_, target_);
  }

  Status check_is_there(const std::string& folder, const NamedSource& source) const {
    const std::string& inner = source.inside->literal();
    const std::string path = join_path(folder, inner);
    ASSIGN_OR_RETURN(const std::optional<Found> found, local_.tree.lookup(path));
    if (found) return imagebuild::ok();
    ASSIGN_OR_RETURN(const std::string real, local_.tree.resolve(path, true));
    ASSIGN_OR_RETURN(const std::optional<Found> behind_links, local_.tree.lookup(real));
    if (!behind_links) return missing(join_path(source.path, inner));
    return Error{ErrorCode::kInvalidInput, "COPY --parents follows no symbolic link: '" + shown(inner) +
                                               "' is behind one, so name '" + shown(real) + "' instead"};
  }

  Status copy_remote(std::size_t index) {
    const RemoteTree& remote = places_.remotes[index];
    const CopyOrigin origin{*remote.tree, remote.name, index + 1};
    if (!remote.is_download) {
      ASSIGN_OR_RETURN(const std::string folder, target_.folder_for(destination_, remote.name));
      RETURN_IF_ERROR(target_.make_folders(folder));
      return copy_folder(origin, "", selection_, NamedSource{}, folder, metadata_, target_);
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> names, remote.tree->list(""));
    if (names.size() != 1) return Error{ErrorCode::kInternal, remote.name + " is not one file"};
    ASSIGN_OR_RETURN(std::optional<Found> file, remote.tree->lookup(names.front()));
    if (!file) return Error{ErrorCode::kInternal, remote.name + " is not there"};
    if (step_.remotes[index].unpack) {
      ASSIGN_OR_RETURN(const bool unpacked, unpack_file(origin, file->node, remote.name));
      if (unpacked) return imagebuild::ok();
    }
    ASSIGN_OR_RETURN(const std::string path, place_of(names.front()));
    return copy_object(origin, std::move(*file), path, metadata_, target_);
  }

  Status put_inline(const api::InlineFile& file) {
    LayerEntry entry;
    ASSIGN_OR_RETURN(entry.node.path, place_of(file.name));
    entry.node.mode = 0644;
    entry.node.mtime_s = places_.epoch_s;
    entry.node.size_bytes = file.content.size();
    metadata_.apply(entry.node);
    entry.open = [content = file.content]() -> Result<std::unique_ptr<ByteSource>> {
      return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(content));
    };
    return target_.put(std::move(entry));
  }

  // The archive is the user's, so he has to mend it.
  static Error bad_archive(Error error, const std::string& name) {
    if (error.code == ErrorCode::kCorrupt) error.code = ErrorCode::kInvalidInput;
    return error.in("ADD '" + name + "'");
  }

  // Whether the file was an archive. What it holds, and the folder it goes to, take no --chmod.
  Result<bool> unpack_file(const CopyOrigin& from, const archive::Node& file, const std::string& name) {
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, from.tree.open(file));
    auto opened = archive::open_if_archive(std::move(content));
    if (!opened.ok()) return bad_archive(opened.error(), name);
    if (*opened == nullptr) return false;
    RETURN_IF_ERROR(target_.make_folders(destination_, CopyTarget::kFolderMode));
    const Status unpacked = unpack(**opened, destination_, metadata_.owner, places_.spool_folder, target_);
    if (!unpacked.ok()) return bad_archive(unpacked.error(), name);
    return true;
  }

  const api::CopyStep& step_;
  const CopyPlaces& places_;
  CopyOrigin local_;
  CopySelection selection_;
  CopyMetadata metadata_;
  CopyTarget target_;
  std::string destination_;
  bool many_ = false;
};

// --chown. "root" is a number for BuildKit, whatever the image's passwd says; with --link there are no other names.
Result<Owner> owner_of(const api::CopyStep& step, const TreeView& root, bool linked) {
  const std::size_t colon = step.owner.find(':');
  std::string user = step.owner.substr(0, colon);
  std::string group = colon == std::string::npos ? std::string() : step.owner.substr(colon + 1);
  if (user == "root") user = "0";
  if (group == "root") group = "0";
  const bool has_names = (user + group).find_first_not_of("0123456789") != std::string::npos;
  if (linked && has_names) {
    return Error{ErrorCode::kInvalidInput, "--link cannot look up the names of --chown=" + step.owner +
                                               ", as it does not read the image: write numbers, or remove --link"};
  }
  return resolve_owner(root, colon == std::string::npos ? user : user + ":" + group).in("--chown");
}

}  // namespace

Result<LayerEntries> plan_copy(const api::CopyStep& step, const CopyPlaces& places) {
  // BuildKit copies into the root, as without --link, when there is a --chmod.
  const bool linked = step.link && step.mode.empty();
  const archive::TreeIndex nothing;
  const IndexView scratch(nothing, nullptr);
  const TreeView& root = linked ? static_cast<const TreeView&>(scratch) : places.root;
  CopyMetadata metadata;
  metadata.keeps_owners = std::holds_alternative<api::FromStage>(step.from);
  if (!step.owner.empty()) {
    ASSIGN_OR_RETURN(metadata.owner, owner_of(step, root, linked));
  }
  if (!step.mode.empty()) {
    ASSIGN_OR_RETURN(metadata.mode, ModeChange::parse(step.mode).in("--chmod"));
  }
  ASSIGN_OR_RETURN(CopySelection selection, CopySelection::of(step));
  return Copy(step, places, root, std::move(selection), std::move(metadata)).run();
}

Result<LayerEntries> plan_folder(const std::string& path, const std::string& owner, const TreeView& root,
                                 std::int64_t epoch_s) {
  Owner resolved;
  if (!owner.empty()) {
    ASSIGN_OR_RETURN(resolved, resolve_owner(root, owner).in("USER"));
  }
  CopyTarget target(root, resolved, epoch_s);
  ASSIGN_OR_RETURN(const std::string real, target.resolve(path, true));
  RETURN_IF_ERROR(target.make_folders(real));
  return std::move(target.entries());
}

}  // namespace imagebuild::builder
