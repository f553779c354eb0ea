#include "builder/prepare_command.h"

#include <iostream>
#include <utility>

#include "api/volume.h"
#include "builder/command.h"
#include "builder/job/prepare_job.h"
#include "builder/prepare/base_index.h"
#include "builder/prepare/images.h"
#include "builder/prepare/run_settings.h"
#include "builder/programs.h"
#include "builder/source/trees.h"
#include "builder/stage/compute_ready.h"
#include "builder/stop_signals.h"
#include "builder/transfer/transfer_job.h"

namespace imagebuild::builder {

namespace {

Status split_build_args(const std::vector<std::string>& given, PrepareRequest& request) {
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::kInvalidInput, "--build-arg " + text + " has no value; write " + text + "=VALUE"};
    }
    request.build_args.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return ok();
}

Status read_run_settings(const PrepareOptions& options, api::RunSettings& run) {
  for (const std::string& text : options.hosts) {
    ASSIGN_OR_RETURN(api::HostAlias host, parse_host(text).in("--add-host"));
    run.hosts.push_back(std::move(host));
  }
  for (const std::string& text : options.ulimits) {
    ASSIGN_OR_RETURN(api::Ulimit limit, parse_ulimit(text).in("--ulimit"));
    run.ulimits.push_back(std::move(limit));
  }
  if (options.shm_size.empty()) return ok();
  ASSIGN_OR_RETURN(run.shm_bytes, parse_bytes(options.shm_size).in("--shm-size"));
  return ok();
}

Status prepare_by_flags(PrepareOptions& options, ProcessRunner& processes) {
  PrepareRequest& request = options.request;
  RETURN_IF_ERROR(split_build_args(options.build_args, request));
  for (const std::string& text : options.platforms) {
    ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::parse(text));
    request.platforms.push_back(std::move(platform));
  }
  TreesRequest trees;
  for (const std::string& text : options.build_contexts) {
    ASSIGN_OR_RETURN(NamedContext context, parse_named_context(text).in("--build-context"));
    trees.contexts.push_back(std::move(context));
  }
  request.named_contexts = images_by_name(trees.contexts);
  RETURN_IF_ERROR(read_run_settings(options, request.run));
  request.volume = options.volume;
  request.copy_context = true;
  ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access, RegistryAccess::open(options.registries, processes));
  const OpenImage open = [&](const std::string& name) { return open_image(access->client(), name); };
  ASSIGN_OR_RETURN(Prepared prepared, prepare(request, open, processes));
  trees.volume = options.volume;
  trees.dockerfile_text = prepared.dockerfile_text;
  trees.own_machine = true;
  RETURN_IF_ERROR(fetch_trees(prepared.plan, trees, SourceSeams{processes, access->transport(), open, log_line}));
  RETURN_IF_ERROR(write_base_indexes(prepared.plan, open, options.volume));
  RETURN_IF_ERROR(compute_ready_stages(prepared.plan, options.volume, archive::Compression::kGzip));
  for (const api::Warning& warning : prepared.plan.warnings) {
    std::cerr << "warning: " << api::text_of(prepared.plan, warning) << "\n";
  }
  return ok();
}

// What is prepared counts once others can have it.
void store(const PrepareOptions& options, const Job& job, ProcessRunner& processes, const std::stop_token& stop,
           api::Told& told) {
  if (!told.done || told.image || options.artifact_tag.empty()) return;
  const TransferJob transfer{job, options.registries.file, options.artifact_tag, log_line};
  const Status stored = store_prepared(transfer, processes, stop);
  if (stored.ok()) return;
  told.failure = failure_of(stored.error(), "");
  told.done = false;
  told.plan_json.clear();
}

int prepare_for_job(const PrepareOptions& options, ProcessRunner& processes) {
  const std::unique_ptr<Reporter> reporter = Reporter::from_environment();
  const std::stop_token stop = stop_on_signals();
  Result<Job> job = open_job(options.job, options.volume, options.mounts);
  if (!job.ok()) return finish(*reporter, api::Told{.failure = failure_of(job.error(), "")});
  PrepareJob request;
  request.job = std::move(*job);
  request.registries_file = options.registries.file;
  request.stage_program = stage_program();
  request.on_progress = [&](const api::Told& told) { reporter->progress(told); };
  request.log = log_line;
  api::Told told = prepare_job(request, processes, stop);
  store(options, request.job, processes, stop, told);
  return finish(*reporter, told);
}

}  // namespace

int prepare_command(PrepareOptions& options) {
  SystemProcessRunner processes;
  if (!options.job.empty()) return prepare_for_job(options, processes);
  return report(prepare_by_flags(options, processes));
}

}  // namespace imagebuild::builder
