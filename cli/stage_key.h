// What the result of a stage depends on, as one digest: equal keys, equal results.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::cli {

struct StageKeyInputs {
  std::filesystem::path volume;  // Has the context, and the exports of the stages that this one needs.
  std::vector<std::optional<api::StageReport>> reports;  // Of the stages that are done, in plan order.
  std::string builder;                                   // Which program makes the result, and how.
};

// The digest of: the builder, the base (an image's digest; a stage's own layers and what they lie on), the platform,
// the epoch, what leaves the stage, each step with its arguments, environment, user and folder, and the content of
// every file it copies or mounts, from the context, from other stages and from trees alike. Where a file's time, its
// place in the Dockerfile, a label or a stage's name differs, the key does not. Secrets count by name, never by
// content.
Result<oci::Digest> stage_key(const api::Plan& plan, int stage, const StageKeyInputs& inputs);

}  // namespace imagebuild::cli
