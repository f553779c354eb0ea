// The checks of a finished image (lint/image), fed from the plan and the volume.
#pragma once

#include <filesystem>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "builder/publish/publish.h"

namespace imagebuild::builder {

// What the checks find in the layers that the build made; of several platforms, each rule once a line. A layer whose
// index is not on the volume (an older result of a cache, one that came through a registry) is not looked at.
std::vector<api::Warning> image_warnings(const api::Plan& plan, const Published& image,
                                         const std::vector<api::StageReport>& reports,
                                         const std::filesystem::path& volume);

}  // namespace imagebuild::builder
