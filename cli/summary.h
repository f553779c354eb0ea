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
// for each platform of an index, each name and output, then the digest; so for each image. Sizes of the image are those
// of its compressed layers; a stage's is that of its root file system. The comparison is left out where no other stage
// is larger than the image.
std::string summary(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                    const std::vector<builder::Published>& images, const builder::TargetTags& tags,
                    const std::vector<builder::Output>& outputs);

// The names of that image.
std::vector<oci::Reference> tags_of(const builder::Published& image, const builder::TargetTags& tags);

// --iidfile: the digest of the config, or of the index.
std::string image_id(const builder::Published& image);

// --metadata-file: BuildKit's keys containerimage.digest, containerimage.config.digest (of one platform only),
// containerimage.descriptor and image.name (the tags, with commas between). Of several images: such an object for each,
// under the name of its target.
std::string metadata_json(const std::vector<builder::Published>& images, const builder::TargetTags& tags);

}  // namespace imagebuild::cli
