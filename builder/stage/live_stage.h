// The stage root of a container: steps happen in the file system that this process sees.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "builder/stage/live_root.h"
#include "builder/stage/run_mounts.h"
#include "builder/stage/scratch.h"
#include "builder/stage/snapshot.h"
#include "builder/stage/stage_root.h"

namespace imagebuild::builder {

struct LiveStageSettings {
  std::filesystem::path volume;        // The artifact volume.
  std::filesystem::path stage_folder;  // In it.
  std::string root_folder = "/";
  MountPlaces mounts;  // What it names outlives the stage.
  api::RunSettings run;
  std::int64_t epoch_s = 0;
  std::stop_token stop_now;
};

class LiveStage final : public StageRoot {
 public:
  LiveStage(LiveRoot root, LiveStageSettings settings)
      : root_(std::move(root)), settings_(std::move(settings)), scratch_(settings_.stage_folder / "scratch") {}

  const TreeView& view() const override { return root_; }
  Status add_layer(const std::filesystem::path& stage_folder, const api::LayerReport& layer) override;
  Status put(const LayerEntries& entries, std::stop_token stop) override;
  Result<Run> run(const api::RunStep& step, bool keep_entries,
                  const std::function<void(int, std::string_view)>& on_output, std::stop_token stop) override;
  Result<std::uint64_t> content_bytes() override;

 private:
  Status make_working_dir(const api::RunStep& step, std::stop_token stop);
  LiveRoot root_;
  LiveStageSettings settings_;
  Scratch scratch_;
  std::optional<Snapshot> last_;  // The state as it is now, when it is known.
  std::optional<bool> private_mounts_;
};

}  // namespace imagebuild::builder
