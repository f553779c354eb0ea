// Copies what a folder holds, or one object, into a target: the metadata that each thing gets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/plan.h"
#include "base/mode_change.h"
#include "builder/stage/copy_target.h"
#include "builder/stage/sources.h"

namespace imagebuild::builder {

// Who owns what is copied, and its mode.
struct CopyMetadata {
  std::optional<Owner> owner;      // --chown
  std::optional<ModeChange> mode;  // --chmod
  bool keeps_owners = false;       // From a stage; otherwise everything is root's.

  void apply(archive::Node& node) const;
};

// A tree that a step copies from.
struct CopyOrigin {
  const TreeView& tree;
  std::string name;          // For messages.
  std::uint64_t number = 0;  // Among the step's: names of one file in different trees are different files.
};

// Puts `found` there. A folder in its place is kInvalidInput.
Status copy_object(const CopyOrigin& from, Found found, const std::string& path, const CopyMetadata& metadata,
                   CopyTarget& target);

// Puts what the selection takes of the folder `real` below the folder `destination`, which is there. A folder below
// takes the source's metadata, also where it is there already; but the folder behind a symlink (/lib → usr/lib) is
// another one and keeps its own.
Status copy_folder(const CopyOrigin& from, const std::string& real, const CopySelection& selection,
                   const NamedSource& source, const std::string& destination, const CopyMetadata& metadata,
                   CopyTarget& target);

}  // namespace imagebuild::builder
