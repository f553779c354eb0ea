// One digest for what a build read of its source.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::builder {

// Of the Dockerfile's text and the context on the volume as .dockerignore leaves it: paths, kinds, permission bits,
// links and content, but no times, which differ from one checkout to the next. A context that no instruction copies
// from is not on the volume and does not count.
Result<oci::Digest> context_digest(const std::filesystem::path& volume, std::string_view dockerfile,
                                   const std::stop_token& stop);

}  // namespace imagebuild::builder
