#include "builder/stage/compute_ready.h"

#include <vector>

#include "api/volume.h"
#include "base/file.h"
#include "build/schedule.h"
#include "builder/stage/stage.h"

namespace imagebuild::builder {

namespace {

namespace fs = std::filesystem;
using build::StageState;

constexpr std::uint64_t kMaxReportBytes = 64U << 20;

bool is_done(const fs::path& stage_folder) {
  const auto text = read_file(stage_folder / api::volume::kReport, kMaxReportBytes);
  if (!text.ok()) return false;
  const auto report = api::StageReport::parse(*text);
  return report.ok() && !report->failure;
}

std::vector<StageState> states_on(const api::Plan& plan, const fs::path& volume) {
  std::vector<StageState> states;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const fs::path folder = volume / api::volume::stage_folder(static_cast<int>(i));
    states.push_back(is_done(folder) ? StageState::kDone : StageState::kWaiting);
  }
  return states;
}

// What an attempt that was cut off left of the stage would be taken for its result.
Status remove_leftovers(const fs::path& stage_folder) {
  std::error_code error;
  fs::remove_all(stage_folder, error);
  return error ? Status(system_error(stage_folder.string(), error.value())) : ok();
}

}  // namespace

Result<std::optional<api::Failure>> compute_stages(const api::Plan& plan, const fs::path& volume,
                                                   archive::Compression compression,
                                                   const std::function<bool(int stage)>& wanted, std::stop_token stop) {
  std::vector<StageState> states = states_on(plan, volume);
  for (bool progress = true; progress;) {
    progress = false;
    for (const int stage : build::ready_stages(plan, states)) {
      if (plan.stages[static_cast<std::size_t>(stage)].needs_container || (wanted && !wanted(stage))) continue;
      RETURN_IF_ERROR(remove_leftovers(volume / api::volume::stage_folder(stage)));
      StageJob job;
      job.volume = volume;
      job.stage = stage;
      job.compression = compression;
      ASSIGN_OR_RETURN(api::StageReport report, compute_stage(plan, job, stop));
      if (report.failure) return std::move(report.failure);
      states[static_cast<std::size_t>(stage)] = StageState::kDone;
      progress = true;
    }
  }
  return std::optional<api::Failure>();
}

Status compute_ready_stages(const api::Plan& plan, const fs::path& volume, archive::Compression compression,
                            std::stop_token stop) {
  ASSIGN_OR_RETURN(const std::optional<api::Failure> failure,
                   compute_stages(plan, volume, compression, {}, std::move(stop)));
  return failure ? Status(error_of(plan, *failure)) : ok();
}

Error error_of(const api::Plan& plan, const api::Failure& failure) {
  return Error{api::parse_error_code(failure.code),
               api::place(plan, failure.at) + ": stage '" + failure.stage + "': " + failure.message};
}

}  // namespace imagebuild::builder
