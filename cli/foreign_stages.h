// Whether this machine can run the programs of a plan's stages: those of its own architecture, and those that the
// kernel hands to an emulator (Linux, Documentation/admin-guide/binfmt-misc.rst).
#pragma once

#include <filesystem>

#include "api/plan.h"
#include "base/result.h"
#include "oci/platform.h"

namespace imagebuild::cli {

inline constexpr const char* kBinfmtFolder = "/proc/sys/fs/binfmt_misc";

// kUnsupported names the first stage with a RUN that cannot run here, and what would help. Stages without RUN need no
// machine of their kind: nothing of their images is ever started.
Status check_platforms(const api::Plan& plan, const oci::Platform& machine = oci::Platform::host(),
                       const std::filesystem::path& binfmt = kBinfmtFolder);

}  // namespace imagebuild::cli
