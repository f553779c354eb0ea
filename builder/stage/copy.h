// COPY and ADD: what they put where. The rules are BuildKit's (its file operation and fsutil's copy).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "api/plan.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

struct CopyPlaces {
  const TreeView& source;   // The context, or the export of a stage.
  std::string source_name;  // For messages: "the build context", "stage 'build'".
  const TreeView& root;     // The stage's file system before the step.
  std::int64_t epoch_s = 0;
  std::filesystem::path spool_folder;  // Where the content of an unpacked archive may lie for as long as it is needed.
};

// The step's layer, parents of its entries not included; `places` must outlive the entries. What the user has to change
// (no such file, a file where a folder must be …) is an error of his: kNotFound or kInvalidInput.
Result<LayerEntries> plan_copy(const api::CopyStep& step, const CopyPlaces& places);

// WORKDIR and the working folder of a RUN: the folders that are missing. They belong to `owner`, in the form that USER
// and --chown have; empty: root.
Result<LayerEntries> plan_folder(const std::string& path, const std::string& owner, const TreeView& root,
                                 std::int64_t epoch_s);

}  // namespace imagebuild::builder
