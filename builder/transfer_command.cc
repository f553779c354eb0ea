#include "builder/transfer_command.h"

#include <functional>
#include <utility>

#include "builder/command.h"
#include "builder/programs.h"
#include "builder/stop_signals.h"
#include "builder/transfer/transfer_job.h"

namespace imagebuild::builder {

namespace {

using Work = std::function<Status(const TransferJob&, ProcessRunner&, const std::stop_token&)>;

// The end is in the termination message: only the pod's phase says that it is done.
int carry_out(const TransferOptions& options, const Work& work) {
  const std::unique_ptr<Reporter> reporter = Reporter::from_environment();
  const std::stop_token stop = stop_on_signals();
  SystemProcessRunner processes;
  api::Told told;
  Result<Job> job = open_job(options.job, options.volume, options.mounts);
  Status status = job.ok() ? ok() : Status(job.error());
  if (job.ok()) {
    const TransferJob transfer{std::move(*job), options.registries.file, options.artifact_tag, log_line};
    status = work(transfer, processes, stop);
  }
  if (!status.ok()) told.failure = failure_of(status.error(), "");
  told.done = status.ok();
  return finish(*reporter, told);
}

}  // namespace

int fetch_command(const TransferOptions& options) {
  return carry_out(options, [&](const TransferJob& transfer, ProcessRunner& processes, const std::stop_token& stop) {
    return fetch_for_stage(transfer, options.stage, stage_program(), processes, stop);
  });
}

int store_command(const TransferOptions& options) {
  return carry_out(options, [&](const TransferJob& transfer, ProcessRunner& processes, const std::stop_token& stop) {
    return store_stage(transfer, options.stage, processes, stop);
  });
}

}  // namespace imagebuild::builder
