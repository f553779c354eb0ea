// prepare in a cluster: from the spec of an ImageBuild to everything that stage pods need on the artifact volume.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "api/told.h"
#include "builder/job/job.h"

namespace imagebuild::builder {

struct PrepareJob {
  Job job;
  std::string registries_file;          // May be empty.
  std::filesystem::path stage_program;  // put_stage_program(): copied to the volume, for containers.
  // Called with what is known so far whenever that grows.
  std::function<void(const api::Told&)> on_progress;
  std::function<void(std::string)> log;  // One line for people.
};

// Empties the volume of what an earlier attempt left, fetches the source, solves the plan, indexes the base images and
// computes the stages of Place::kPrepare. Always returns something to tell: the plan or a failure.
api::Told prepare_job(const PrepareJob& request, ProcessRunner& processes, std::stop_token stop);

}  // namespace imagebuild::builder
