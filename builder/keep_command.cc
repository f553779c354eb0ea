#include "builder/keep_command.h"

#include <utility>

#include "builder/command.h"
#include "builder/job/keep_job.h"
#include "builder/programs.h"
#include "builder/stop_signals.h"

namespace imagebuild::builder {

int keep_command(const KeepOptions& options) {
  SystemProcessRunner processes;
  const std::unique_ptr<Reporter> reporter = Reporter::from_environment();
  const std::stop_token stop = stop_on_signals();
  Result<Job> job = open_job(options.job, options.volume, options.mounts);
  if (!job.ok()) return finish(*reporter, api::Told{.failure = failure_of(job.error(), "")});
  KeepJob request{std::move(*job), options.registries.file, stage_program(), options.stages, log_line};
  return finish(*reporter, keep_job(request, processes, stop));
}

}  // namespace imagebuild::builder
