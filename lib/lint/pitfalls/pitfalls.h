// The pitfalls of multi-stage builds that show in the Dockerfile alone. Each check stays silent when in doubt. The
// table of rules is lint/rules.h.
#pragma once

#include "lint/findings.h"
#include "lint/lint.h"
#include "lint/pitfalls/file_view.h"

namespace imagebuild::lint {

// All of the checks below. A file whose stages cannot be told (an unknown stage, a bad expansion) is not checked.
void check_pitfalls(const LintInput& input, Findings& findings);

// UnusedStage, StageNamedByIndex
void check_stages(const FileView& view, Findings& findings);
// UnpinnedBaseImage
void check_pins(const FileView& view, Findings& findings);
// SourceBeforeDependencies
void check_copy_order(const FileView& view, Findings& findings);
// SecretFileCopied
void check_secret_files(const FileView& view, Findings& findings);
// WholeBuildFolderCopied
void check_build_folders(const FileView& view, Findings& findings);
// BuildToolsInFinalStage
void check_build_tools(const FileView& view, Findings& findings);
// LargerBaseThanNeeded
void check_base_size(const FileView& view, Findings& findings);

}  // namespace imagebuild::lint
