// Runs one process with all it starts, to the end of all of them.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "builder/stage/run_child.h"

namespace imagebuild::builder {

struct RunOutcome {
  int exit_status = 0;                     // 128 + the signal's number when a signal ended it.
  int signal = 0;                          // That signal, or 0.
  std::optional<RunChildFailure> failure;  // It never became the program.
};

// Starts the child, passes its output on, and returns when it and every process it left behind has ended: as PID 1
// everything else in the process-ID namespace, otherwise its descendants, are killed once the child itself has ended.
// `stop` sends it SIGTERM and, 10 s later, SIGKILL; `stop_now` sends SIGKILL at once; then the error is kCancelled.
// Takes over SIGCHLD for the time, so only one may run in a process.
Result<RunOutcome> run_process(const RunChild& child, const std::function<void(int, std::string_view)>& on_output,
                               std::stop_token stop, std::stop_token stop_now);

// Whether this process may make mounts that only its children see.
bool can_mount_privately();

}  // namespace imagebuild::builder
