#include "builder/stage/live_stage.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "archive/extract.h"
#include "builder/stage/copy.h"
#include "builder/stage/difference.h"
#include "builder/stage/layer_file.h"
#include "builder/stage/run_process.h"

namespace imagebuild::builder {

Status LiveStage::add_layer(const std::filesystem::path& stage_folder, const api::LayerReport& layer) {
  last_.reset();
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> tar, open_layer_file(stage_folder, layer));
  archive::ExtractOptions options;
  options.keep_owners = ::geteuid() == 0;
  options.on_node = [this](const archive::Node& node) {
    if (!last_part(node.path).starts_with(".wh.")) root_.made(node.path);
  };
  RETURN_IF_ERROR(archive::extract(*tar, root_.fd(), options));
  return finish_layer_file(*tar);
}

Status LiveStage::put(const LayerEntries& entries, std::stop_token stop) {
  if (entries.empty()) return imagebuild::ok();
  last_.reset();
  LayerEntries reachable;
  for (const auto& [path, entry] : entries) {
    root_.made(path);
    // What something is mounted over cannot be changed under it; the layer has it nevertheless.
    if (!root_.is_excluded(path)) reachable.emplace(path, entry);
  }
  return apply_entries(reachable, root_.fd(), stop);
}

// A working folder in a mount is the mount's affair.
Status LiveStage::make_working_dir(const api::RunStep& step, std::stop_token stop) {
  const bool is_mounted = std::ranges::any_of(step.mounts, [&](const api::Mount& mount) {
    return std::visit([&](const auto& it) { return is_at_or_below(step.working_dir, it.target); }, mount);
  });
  if (is_mounted) return imagebuild::ok();
  ASSIGN_OR_RETURN(const LayerEntries folders, plan_folder(step.working_dir, "", root_, settings_.epoch_s));
  if (folders.empty()) return imagebuild::ok();
  for (const auto& [folder, entry] : folders) root_.made(folder);
  return apply_entries(folders, root_.fd(), stop);
}

Result<StageRoot::Run> LiveStage::run(const api::RunStep& step, bool keep_entries,
                                      const std::function<void(int, std::string_view)>& on_output,
                                      std::stop_token stop) {
  std::optional<Snapshot> before = std::exchange(last_, std::nullopt);
  if (keep_entries) {
    if (!before) {
      ASSIGN_OR_RETURN(before, Snapshot::take(root_));
    }
    wait_for_next_tick(*before);
  }
  RETURN_IF_ERROR(make_working_dir(step, stop));
  if (!private_mounts_) private_mounts_ = can_mount_privately();
  const RunPlaces places{root_,
                         settings_.root_folder,
                         settings_.volume.string(),
                         settings_.stage_folder.string(),
                         settings_.mounts,
                         settings_.run,
                         scratch_,
                         *private_mounts_};
  Run run;
  ASSIGN_OR_RETURN(run.result, run_step(step, places, on_output, stop, settings_.stop_now));
  if (run.result.failure || !keep_entries) return run;
  const auto on_socket = [&](const std::string& path) {
    on_output(2, "warning: the socket " + shown(path) + " cannot be kept in an image and is left out\n");
  };
  ASSIGN_OR_RETURN(Snapshot after, Snapshot::take(root_, on_socket));
  ASSIGN_OR_RETURN(run.entries, difference(*before, after, root_, settings_.epoch_s, run.result.masked));
  last_ = std::move(after);
  return run;
}

Result<std::uint64_t> LiveStage::content_bytes() {
  if (!last_) {
    ASSIGN_OR_RETURN(last_, Snapshot::take(root_));
  }
  return last_->content_bytes();
}

}  // namespace imagebuild::builder
