// publish in a cluster: from the stages on the artifact volume to the image that the spec's output names.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "api/told.h"
#include "builder/job/job.h"

namespace imagebuild::builder {

struct PublishJob {
  Job job;
  std::string registries_file;           // May be empty.
  std::filesystem::path stage_program;   // As PrepareJob has it.
  std::function<void(std::string)> log;  // One line for people.
  // The pods of the last stages still run: their reports are waited for, a failure too, as its pod may be tried again.
  bool wait = false;
  std::function<void(const std::stop_token&)> pause;  // Between two looks; empty: some milliseconds, less when stopped.
};

// Computes the stages of Place::kPublish, assembles the image with the output's labels and annotations, and pushes it
// under all of the output's tags. Doing it again changes nothing. Always returns something to tell: the image or a
// failure. Where the spec names a cache, the results of the stages are kept in it afterwards.
api::Told publish_job(const PublishJob& request, ProcessRunner& processes, std::stop_token stop);

}  // namespace imagebuild::builder
