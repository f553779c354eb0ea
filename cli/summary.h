// What a finished build says: the image, its sizes, and where it went. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "builder/publish/publish.h"

namespace imagebuild::cli {

// "image 1.1 MB (base 0.9 MB + 0.2 MB new) · exported 0.2 MB · 423× smaller than stage 'build' (464 MB)", then a line
// for each name and output, then the digest. Sizes of the image are those of its compressed layers; a stage's is that
// of its root file system. The comparison is left out where no other stage is larger than the image.
std::string summary(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                    const builder::Published& image, const std::vector<oci::Reference>& tags,
                    const std::vector<builder::Output>& outputs);

// --metadata-file: BuildKit's keys containerimage.digest, containerimage.config.digest, containerimage.descriptor and
// image.name (the tags, with commas between).
std::string metadata_json(const builder::Published& image, const std::vector<oci::Reference>& tags);

}  // namespace imagebuild::cli
