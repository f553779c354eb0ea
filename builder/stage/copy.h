// COPY and ADD: what they put where. The rules are BuildKit's (its file operation and fsutil's copy).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "api/plan.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

// One of CopyStep::remotes: a tree from elsewhere.
struct RemoteTree {
  const TreeView* tree = nullptr;
  std::string name;          // For messages.
  bool is_download = false;  // It holds one file, which is copied; otherwise all it holds is.
};

struct CopyPlaces {
  const TreeView& source;   // The context, the export of a stage, or a tree from outside.
  std::string source_name;  // For messages: "the build context", "stage 'build'".
  const TreeView& root;     // The stage's file system before the step.
  std::int64_t epoch_s = 0;
  std::filesystem::path spool_folder;  // Where the content of an unpacked archive may lie for as long as it is needed.
  std::vector<RemoteTree> remotes = {};  // In the order of the step's.
};

// The step's layer, parents of its entries not included; `places` must outlive the entries. A wildcard that matches
// nothing copies nothing. With --link the root is not looked at, so the layer has every folder above what it puts. What
// the user has to change (no such file, a file where a folder must be …) is an error of his: kNotFound or
// kInvalidInput.
Result<LayerEntries> plan_copy(const api::CopyStep& step, const CopyPlaces& places);

// WORKDIR and the working folder of a RUN: the folders that are missing. They belong to `owner`, in the form that USER
// and --chown have; empty: root.
Result<LayerEntries> plan_folder(const std::string& path, const std::string& owner, const TreeView& root,
                                 std::int64_t epoch_s);

}  // namespace imagebuild::builder
