// keep in a cluster: what the stages of a build that failed or was cancelled had made goes into the cache that its spec
// names, so that the next build need not make it again. Nothing is pushed.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/told.h"
#include "builder/job/job.h"

namespace imagebuild::builder {

struct KeepJob {
  Job job;
  std::string registries_file;           // May be empty.
  std::filesystem::path stage_program;   // As PrepareJob has it.
  std::vector<int> stages;               // Of the plan on the volume; nobody writes to their folders any more.
  std::function<void(std::string)> log;  // One line for people.
};

// What of it could not be kept is a warning. A failure only where nothing can be read from the volume, or when stopped.
api::Told keep_job(const KeepJob& request, ProcessRunner& processes, std::stop_token stop);

}  // namespace imagebuild::builder
