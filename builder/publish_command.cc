#include "builder/publish_command.h"

#include <iostream>
#include <utility>

#include "base/file.h"
#include "builder/command.h"
#include "builder/job/publish_job.h"
#include "builder/prepare/images.h"
#include "builder/programs.h"
#include "builder/publish/publish.h"
#include "builder/publish/stage_reports.h"
#include "builder/stage/compute_ready.h"
#include "builder/stop_signals.h"
#include "builder/transfer/transfer_job.h"

namespace imagebuild::builder {

namespace {

Status publish_by_flags(const PublishOptions& options, ProcessRunner& processes) {
  ASSIGN_OR_RETURN(const api::Plan plan, read_plan(options.volume));
  RETURN_IF_ERROR(compute_ready_stages(plan, options.volume, archive::Compression::kGzip));
  PublishRequest request;
  request.volume = options.volume;
  request.outputs = {Output{Output::Kind::kRegistry, {}}};
  ASSIGN_OR_RETURN(request.reports, read_stage_reports(plan, options.volume));
  if (api::target_names(plan).size() > 1) {
    return Error{ErrorCode::kUnsupported, "the plan makes several images, but --tag names one"};
  }
  const std::string& target = plan.targets.front().name;
  for (const std::string& tag : options.tags) {
    ASSIGN_OR_RETURN(oci::Reference reference, oci::Reference::parse(tag));
    request.tags[target].push_back(std::move(reference));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access, RegistryAccess::open(options.registries, processes));
  const OpenImage open = [&](const std::string& name) { return open_image(access->client(), name); };
  ASSIGN_OR_RETURN(const std::vector<Published> published, publish(plan, request, open, access->client()));
  const std::string digest = published.front().descriptor.digest.str();
  if (!options.digest_file.empty()) RETURN_IF_ERROR(write_file_atomically(options.digest_file, digest));
  std::cout << digest << "\n";
  return ok();
}

int publish_for_job(const PublishOptions& options, ProcessRunner& processes) {
  const std::unique_ptr<Reporter> reporter = Reporter::from_environment();
  const std::stop_token stop = stop_on_signals();
  Result<Job> job = open_job(options.job, options.volume, options.mounts);
  if (!job.ok()) return finish(*reporter, api::Told{.failure = failure_of(job.error(), "")});
  if (!options.artifact_tag.empty()) {
    const TransferJob transfer{*job, options.registries.file, options.artifact_tag, log_line};
    const Status fetched = fetch_for_publish(transfer, processes, stop);
    if (!fetched.ok()) return finish(*reporter, api::Told{.failure = failure_of(fetched.error(), "")});
  }
  PublishJob request;
  request.job = std::move(*job);
  request.registries_file = options.registries.file;
  request.stage_program = stage_program();
  request.log = log_line;
  request.wait = options.wait;
  return finish(*reporter, publish_job(request, processes, stop));
}

}  // namespace

int publish_command(PublishOptions& options) {
  SystemProcessRunner processes;
  if (!options.job.empty()) return publish_for_job(options, processes);
  return report(publish_by_flags(options, processes));
}

}  // namespace imagebuild::builder
