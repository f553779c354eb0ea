// The stage program for each architecture that the containers of a plan have.
#pragma once

#include <filesystem>
#include <string>

#include "api/plan.h"
#include "base/result.h"

namespace imagebuild::builder {

// Copies the program for that platform's architecture to its place on the volume (volume::stage_program()). `own` is
// this machine's; those of others lie beside it with the architecture behind its name ("imagebuild-stage-arm64").
// `stage` is who needs it, for the error when there is no such file.
Status put_stage_program(const std::filesystem::path& own, const std::string& platform, const std::string& stage,
                         const std::filesystem::path& volume);

// The programs of all stages with a container.
Status put_stage_programs(const std::filesystem::path& own, const api::Plan& plan, const std::filesystem::path& volume);

}  // namespace imagebuild::builder
