// Which images a build makes and how each is called: --target, --tag and --platform together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "builder/publish/publish.h"
#include "oci/platform.h"
#include "oci/reference.h"

namespace imagebuild::cli {

// A --target: "STAGE" or "STAGE=IMAGE".
struct TargetSpec {
  std::string stage;
  std::optional<oci::Reference> image;
};

Result<TargetSpec> parse_target(std::string_view text);
// A --tag, or the image of a --target (`option` says which for messages): a name without a digest.
Result<oci::Reference> parse_image_name(const std::string& option, std::string_view text);

// The stages to build, each once, in the order given; none means the last.
std::vector<std::string> stages_of(const std::vector<TargetSpec>& targets);

// The names of each target's image. --tag names the image of the one target that has no "=IMAGE". Of several targets
// each must have a name as soon as one has, or `named` says that the outputs ask for names.
Result<builder::TargetTags> tags_by_target(const std::vector<TargetSpec>& targets,
                                           const std::vector<oci::Reference>& tags, bool named);

// --platform, each a list with commas; each platform once, in the order given.
Result<std::vector<oci::Platform>> parse_platforms(const std::vector<std::string>& lists);

}  // namespace imagebuild::cli
