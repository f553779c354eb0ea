#include "builder/job/keep_job.h"

#include "builder/job/job_cache.h"
#include "builder/publish/stage_reports.h"

namespace imagebuild::builder {

api::Told keep_job(const KeepJob& request, ProcessRunner& processes, std::stop_token stop) {
  const auto log = [&](std::string line) {
    if (request.log) request.log(std::move(line));
  };
  api::Told told;
  const Result<api::Plan> plan = read_plan(request.job.volume);
  if (!plan.ok()) {
    const Error error{ErrorCode::kInternal, "the artifact volume: " + plan.error().message};
    told.failure = failure_of(error, "");
    return told;
  }
  JobCache cache({request.job, request.registries_file, request.stage_program, log}, processes, stop);
  cache.keep_unfinished(*plan, request.stages);
  told.warnings = cache.warnings();
  for (const api::Warning& warning : told.warnings) log("warning: " + warning.message);
  if (stop.stop_requested()) {
    told.failure = failure_of(Error{ErrorCode::kCancelled, "stopped"}, "");
    return told;
  }
  told.done = true;
  return told;
}

}  // namespace imagebuild::builder
