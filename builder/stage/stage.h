// Carries out one stage of a plan: the core of imagebuild-stage, and of stages that need no container.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>

#include "api/plan.h"
#include "api/report.h"
#include "archive/compress.h"
#include "base/result.h"

namespace imagebuild::builder {

class ContentLog;
struct SourceTree;

struct StageJob {
  std::filesystem::path volume;  // The artifact volume's root as this process sees it (api/volume.h).
  int stage = 0;                 // Index into the plan's stages.
  archive::Compression compression = archive::Compression::kGzip;  // Of the layers.
  unsigned threads = 0;                                            // For compression; 0: one per CPU.
  std::function<void(const api::StageEvent&)> on_event;            // Called on one thread, in order.
  // Of a stage without a container, both optional: the context's tree, opened already, and what is told of what is
  // read.
  std::shared_ptr<const SourceTree> context = nullptr;
  ContentLog* contents = nullptr;
  std::stop_token stop_now;  // With `stop` requested too: a running command is killed without its ten seconds of grace.
};

// Runs the stage in the root file system of this process, which is the stage's base image (the process is its
// container's PID 1): parents' layers are applied, each step carried out, its difference kept as a layer where the plan
// wants it, the exports written, and report.json at the end. The report carries a user's failure; an Error means that
// not even a report could be written.
Result<api::StageReport> run_stage(const api::Plan& plan, const StageJob& job, std::stop_token stop);

// The same for a stage without needs_container: nothing of the base is unpacked, the layers are computed from the base
// index, the context and the exports of other stages. Needs no privileges and touches only the stage's folder.
Result<api::StageReport> compute_stage(const api::Plan& plan, const StageJob& job, std::stop_token stop);

}  // namespace imagebuild::builder
