#include "builder/stage/compute_ready.h"

#include <vector>

#include "api/volume.h"
#include "build/schedule.h"
#include "builder/stage/stage.h"

namespace imagebuild::builder {

namespace {

using build::StageState;

std::vector<StageState> states_on(const api::Plan& plan, const std::filesystem::path& volume) {
  std::vector<StageState> states;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const auto report = volume / api::volume::stage_folder(static_cast<int>(i)) / api::volume::kReport;
    states.push_back(std::filesystem::exists(report) ? StageState::kDone : StageState::kWaiting);
  }
  return states;
}

}  // namespace

Status compute_ready_stages(const api::Plan& plan, const std::filesystem::path& volume,
                            archive::Compression compression, std::stop_token stop) {
  std::vector<StageState> states = states_on(plan, volume);
  for (bool progress = true; progress;) {
    progress = false;
    for (const int stage : build::ready_stages(plan, states)) {
      if (plan.stages[static_cast<std::size_t>(stage)].needs_container) continue;
      StageJob job;
      job.volume = volume;
      job.stage = stage;
      job.compression = compression;
      ASSIGN_OR_RETURN(const api::StageReport report, compute_stage(plan, job, stop));
      if (report.failure) {
        return Error{api::parse_error_code(report.failure->code), api::place(plan, report.failure->at) + ": stage '" +
                                                                      report.failure->stage +
                                                                      "': " + report.failure->message};
      }
      states[static_cast<std::size_t>(stage)] = StageState::kDone;
      progress = true;
    }
  }
  return ok();
}

}  // namespace imagebuild::builder
