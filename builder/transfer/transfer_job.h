// The artifacts of an ImageBuild whose transport is a registry: what its pods store there and fetch from it.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "api/told.h"
#include "builder/job/job.h"

namespace imagebuild::builder {

struct TransferJob {
  Job job;
  std::string registries_file;           // May be empty.
  std::string tag;                       // What the tags of the build's bundles begin with; the operator's choice.
  std::function<void(std::string)> log;  // One line for people.
};

// After prepare: everything on the volume but the stage program.
Status store_prepared(const TransferJob& transfer, ProcessRunner& processes, std::stop_token stop);
// Before a stage: the plan and what the stage needs; and the stage program, from `stage_program`.
Status fetch_for_stage(const TransferJob& transfer, int stage, const std::filesystem::path& stage_program,
                       ProcessRunner& processes, std::stop_token stop);
// Beside a stage: waits for its end and stores its folder. The first attempt of a stage whose artifacts arrive counts:
// what is there is not replaced, since others may have been built on it. Does nothing for a stage that failed.
Status store_stage(const TransferJob& transfer, int stage, ProcessRunner& processes, std::stop_token stop);
// Before publish: the plan and what publish needs.
Status fetch_for_publish(const TransferJob& transfer, ProcessRunner& processes, std::stop_token stop);

}  // namespace imagebuild::builder
