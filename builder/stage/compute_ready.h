// Does the work between containers: stages that need none, as soon as what they need is on the volume.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>

#include "api/plan.h"
#include "api/report.h"
#include "archive/compress.h"
#include "base/result.h"

namespace imagebuild::builder {

// Computes every stage without needs_container that `wanted` takes (absent: all), whose needs are done and that is not
// done itself, until no more can be. A stage is done when its report on the volume tells of no failure. Returns the
// first failure of a step.
Result<std::optional<api::Failure>> compute_stages(const api::Plan& plan, const std::filesystem::path& volume,
                                                   archive::Compression compression,
                                                   const std::function<bool(int stage)>& wanted,
                                                   std::stop_token stop = {});

// All of them; a step that failed is an error in its words, located in the Dockerfile.
Status compute_ready_stages(const api::Plan& plan, const std::filesystem::path& volume,
                            archive::Compression compression, std::stop_token stop = {});

// The failure in one line: "Dockerfile:3:1: stage 'app': no such file".
Error error_of(const api::Plan& plan, const api::Failure& failure);

}  // namespace imagebuild::builder
