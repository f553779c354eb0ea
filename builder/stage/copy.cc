#include "builder/stage/copy.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

#include "archive/tar_reader.h"
#include "base/glob.h"
#include "builder/stage/copy_target.h"
#include "builder/stage/sources.h"
#include "builder/stage/unpack.h"

namespace imagebuild::builder {
namespace {

using archive::NodeType;

// What one COPY or ADD does, source by source.
class Copy {
 public:
  Copy(const api::CopyStep& step, const CopyPlaces& places, std::optional<Owner> owner)
      : step_(step), places_(places), owner_(owner), target_(places.root, owner.value_or(Owner{}), places.epoch_s) {}

  Result<LayerEntries> run() {
    ASSIGN_OR_RETURN(std::vector<std::string> sources, find_sources());
    ASSIGN_OR_RETURN(destination_, target_.resolve(step_.destination, true));
    RETURN_IF_ERROR(look_at_destination(sources.size() + step_.inline_sources.size()));
    for (const std::string& source : sources) RETURN_IF_ERROR(copy_source(source));
    for (const api::InlineFile& file : step_.inline_sources) RETURN_IF_ERROR(put_inline(file));
    link_names(target_.entries());
    return std::move(target_.entries());
  }

 private:
  Result<std::vector<std::string>> find_sources() {
    std::vector<std::string> sources;
    for (const std::string& pattern : step_.sources) {
      ASSIGN_OR_RETURN(const std::vector<std::string> matches, match_sources(places_.source, pattern));
      sources.insert(sources.end(), matches.begin(), matches.end());
    }
    // A wildcard may match nothing (`COPY package.json yarn.lock* ./`), but a COPY of nothing at all is a mistake.
    if (sources.empty() && step_.inline_sources.empty()) {
      return Error{ErrorCode::kNotFound, "COPY failed: nothing in " + places_.source_name + " matches '" +
                                             (step_.sources.empty() ? "" : step_.sources.front()) + "'"};
    }
    return sources;
  }

  Status look_at_destination(std::size_t sources) {
    if (step_.destination_is_folder) RETURN_IF_ERROR(target_.make_folders(destination_));
    ASSIGN_OR_RETURN(const std::optional<Found> there, target_.lookup(destination_));
    into_folder_ = there && there->node.type == NodeType::kDirectory;
    many_to_one_ = sources > 1 && !step_.destination_is_folder && !into_folder_;
    return imagebuild::ok();
  }

  Status copy_source(const std::string& source) {
    ASSIGN_OR_RETURN(const std::string real, places_.source.resolve(source, true));
    ASSIGN_OR_RETURN(std::optional<Found> found, places_.source.lookup(real));
    if (!found) {
      return Error{ErrorCode::kNotFound, "COPY failed: no such file '" + source + "' in " + places_.source_name +
                                             nearest_path_hint(places_.source, source)};
    }
    if (found->node.type == NodeType::kDirectory) {
      ASSIGN_OR_RETURN(const std::string folder, target_.folder_for(destination_, source));
      RETURN_IF_ERROR(target_.make_folders(folder));
      return copy_below(real, folder);
    }
    if (step_.unpack_archives && found->node.type == NodeType::kFile) {
      ASSIGN_OR_RETURN(const bool unpacked, unpack_source(found->node));
      if (unpacked) return imagebuild::ok();
    }
    if (many_to_one_) {
      return Error{ErrorCode::kInvalidInput, "several files match, so the destination must be a folder: write it as '" +
                                                 step_.destination + "/'"};
    }
    return put_leaf(std::move(*found), into_folder_ ? join_path(destination_, last_part(source)) : destination_);
  }

  Status copy_below(const std::string& source, const std::string& destination) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, places_.source.list(source));
    for (const std::string& name : names) {
      ASSIGN_OR_RETURN(std::optional<Found> found, places_.source.lookup(join_path(source, name)));
      if (!found) continue;
      const std::string path = join_path(destination, name);
      if (found->node.type == NodeType::kDirectory) {
        RETURN_IF_ERROR(copy_folder(std::move(*found), path));
      } else {
        RETURN_IF_ERROR(put_leaf(std::move(*found), path));
      }
    }
    return imagebuild::ok();
  }

  // A folder below the named source takes the source's metadata, also where it is there already; but the folder behind
  // a symlink (/lib → usr/lib) is another one and keeps its own.
  Status copy_folder(Found found, const std::string& path) {
    const std::string source = found.node.path;
    ASSIGN_OR_RETURN(const std::string real, target_.folder_for(path, source));
    if (real == path) {
      LayerEntry entry = entry_of(places_.source, std::move(found));
      entry.node.path = path;
      set_metadata(entry.node);
      target_.put_folder(std::move(entry));
    }
    return copy_below(source, real);
  }

  Status put_leaf(Found found, const std::string& path) {
    LayerEntry entry = entry_of(places_.source, std::move(found));
    entry.node.path = path;
    set_metadata(entry.node);
    return target_.put(std::move(entry));
  }

  Status put_inline(const api::InlineFile& file) {
    LayerEntry entry;
    entry.node.path = into_folder_ ? join_path(destination_, file.name) : destination_;
    if (many_to_one_) {
      return Error{ErrorCode::kInvalidInput,
                   "several files need a folder as destination: write it as '" + step_.destination + "/'"};
    }
    entry.node.mode = 0644;
    entry.node.mtime_s = places_.epoch_s;
    entry.node.size_bytes = file.content.size();
    set_metadata(entry.node);
    entry.open = [content = file.content]() -> Result<std::unique_ptr<ByteSource>> {
      return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(content));
    };
    return target_.put(std::move(entry));
  }

  void set_metadata(archive::Node& node) const {
    const bool from_context = std::holds_alternative<api::FromContext>(step_.from);
    if (owner_) {
      node.uid = owner_->uid;
      node.gid = owner_->gid;
    } else if (from_context) {
      node.uid = node.gid = 0;
    }
    if (!step_.mode.empty() && node.type != NodeType::kSymlink) {
      node.mode = static_cast<std::uint32_t>(std::stoul(step_.mode, nullptr, 8));
    }
  }

  Result<bool> unpack_source(const archive::Node& file) {
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, places_.source.open(file));
    auto opened = archive::open_if_archive(std::move(content));
    if (!opened.ok()) return opened.error().in("ADD '" + shown(file.path) + "'");
    if (*opened == nullptr) return false;
    RETURN_IF_ERROR(target_.make_folders(destination_));
    into_folder_ = true;
    const Status unpacked = unpack(**opened, destination_, owner_, places_.spool_folder, target_);
    if (!unpacked.ok()) return unpacked.error().in("ADD '" + shown(file.path) + "'");
    return true;
  }

  const api::CopyStep& step_;
  const CopyPlaces& places_;
  std::optional<Owner> owner_;
  CopyTarget target_;
  std::string destination_;
  bool into_folder_ = false;  // The destination is a folder: sources keep their names in it.
  bool many_to_one_ = false;
};

}  // namespace

Result<LayerEntries> plan_copy(const api::CopyStep& step, const CopyPlaces& places) {
  std::optional<Owner> owner;
  if (!step.owner.empty()) {
    ASSIGN_OR_RETURN(owner, resolve_owner(places.root, step.owner).in("--chown"));
  }
  return Copy(step, places, owner).run();
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
