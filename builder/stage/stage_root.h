// The file system that a stage works on: a container's own, or one that exists only as an index.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "api/plan.h"
#include "api/report.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/run_step.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

class StageRoot {
 public:
  virtual ~StageRoot() = default;
  // As it is now; valid until the next change.
  virtual const TreeView& view() const = 0;
  // A layer of a stage below, which lies in `stage_folder`.
  virtual Status add_layer(const std::filesystem::path& stage_folder, const api::LayerReport& layer) = 0;
  // What a step put, already complete.
  virtual Status put(const LayerEntries& entries, std::stop_token stop) = 0;

  struct Run {
    RunResult result;
    LayerEntries entries;  // What it changed; empty unless that is to be kept.
  };
  virtual Result<Run> run(const api::RunStep& step, bool keep_entries,
                          const std::function<void(int, std::string_view)>& on_output, std::stop_token stop) = 0;
  // The bytes of everything in it.
  virtual Result<std::uint64_t> content_bytes() = 0;
};

}  // namespace imagebuild::builder
