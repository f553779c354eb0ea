// Does the work between containers: stages that need none, as soon as what they need is on the volume.
#pragma once

#include <filesystem>
#include <stop_token>

#include "api/plan.h"
#include "archive/compress.h"
#include "base/result.h"

namespace imagebuild::builder {

// Computes every stage without needs_container whose needs have reports and that has none itself, until no more can be.
// A step that failed is an error in its words, located in the Dockerfile.
Status compute_ready_stages(const api::Plan& plan, const std::filesystem::path& volume,
                            archive::Compression compression, std::stop_token stop = {});

}  // namespace imagebuild::builder
