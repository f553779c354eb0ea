// The scheduler's loop: starts what may start, waits for what ends.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/result.h"

namespace imagebuild::cli {

// Runs one stage to its end, on a thread of its own. A user's failure is in the report.
using RunStage = std::function<Result<api::StageReport>(int stage, std::stop_token stop)>;

struct StagesOutcome {
  std::vector<std::optional<api::StageReport>>
      reports;                          // In plan order; none for a stage that did not come to its end.
  std::optional<api::Failure> failure;  // Of the stage that failed first.
};

// Runs every stage of the plan, each as soon as what it needs is done, at most `at_once` together. At the first failure
// or error the others are asked to stop; returns when all threads have ended. An error is the machine's: kCancelled
// when `stop` was requested.
Result<StagesOutcome> run_stages(const api::Plan& plan, unsigned at_once, const RunStage& run_stage,
                                 const std::stop_token& stop);

}  // namespace imagebuild::cli
