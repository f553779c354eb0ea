// Reads what a stage's steps depend on: from the plan, and from the files on the artifact volume.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "archive/compress.h"
#include "base/result.h"
#include "build/cache_key.h"
#include "builder/cache/content_memo.h"
#include "builder/stage/content_log.h"
#include "builder/stage/source_trees.h"

namespace imagebuild::builder {

struct InputPlaces {
  std::filesystem::path volume;  // Has the context, trees, and the exports of the stages that are done.
  std::vector<std::optional<api::StageReport>> reports;  // Of the stages that are done, in plan order.
  std::string builder;                                   // Which program makes the result (builder_identity()).
  archive::Compression compression = archive::Compression::kGzip;
  // Of a context that is a folder, both optional: its tree, opened once for all stages, and what its files hold.
  std::shared_ptr<const SourceTree> context = nullptr;
  ContentMemo* memo = nullptr;
  // Before the stage: the versions of the context's files when they were listed. What the memo knows of those is taken
  // for what is there. Optional.
  const archive::FileVersions* listed = nullptr;
  // After the stage: what it read, which is not read again. Optional.
  const ContentLog* contents = nullptr;
};

// The stage's inputs. Where a file's time, its place in the Dockerfile, a label or a stage's name differs, they do not;
// secrets count by name, never by content; the epoch counts if the user said it. Without the report of a stage that
// this one takes files from or is built on, the inputs are not complete.
Result<build::StageInputs> stage_inputs(const api::Plan& plan, int stage, const InputPlaces& places);

// The same without the files that are copied and mounted (InputKind::kFile): nothing is read.
Result<build::StageInputs> stage_outline(const api::Plan& plan, int stage, const InputPlaces& places);

// Names a program by its content, the same on every machine that has it.
Result<std::string> builder_identity(const std::filesystem::path& program);

}  // namespace imagebuild::builder
