// What the pods of a build left on the volume for publish.
#pragma once

#include <filesystem>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/result.h"

namespace imagebuild::builder {

Result<api::Plan> read_plan(const std::filesystem::path& volume);

// The report of each stage, in plan order. kInvalidInput for a stage that has not run, kFailed for one that failed.
Result<std::vector<api::StageReport>> read_stage_reports(const api::Plan& plan, const std::filesystem::path& volume);

}  // namespace imagebuild::builder
