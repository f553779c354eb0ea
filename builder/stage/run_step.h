// RUN: prepares the process that a RunStep describes, runs it in this process's root, and cleans up behind it.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "api/plan.h"
#include "base/result.h"
#include "builder/stage/run_mounts.h"
#include "builder/stage/scratch.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

struct RunPlaces {
  const TreeView& root;      // Where users are looked up.
  std::string root_folder;   // "/"; where this process finds what the RUN will see.
  std::string volume;        // The artifact volume, hidden from the RUN where that is possible.
  std::string stage_folder;  // Writable; holds a script where nothing can be mounted.
  const MountPlaces& mounts;
  const api::RunSettings& settings;
  Scratch& scratch;
  bool private_mounts = false;  // can_mount_privately()
};

struct RunResult {
  int exit_status = 0;
  std::optional<Error> failure;  // The user's: the command failed or could not be started.
  std::set<std::string> masked;  // MountWay::masked()
};

// An Error is the machine's fault or kCancelled.
Result<RunResult> run_step(const api::RunStep& step, const RunPlaces& places,
                           const std::function<void(int, std::string_view)>& on_output, std::stop_token stop,
                           std::stop_token stop_now);

// The step's environment with PATH and HOME added where they are missing.
std::vector<std::string> run_environment(const api::RunStep& step, const std::string& home);

}  // namespace imagebuild::builder
