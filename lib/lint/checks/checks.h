// The checks of check(): each looks at the whole file for one kind of mistake. The table of rules is lint/rules.h.
#pragma once

#include "lint/findings.h"
#include "lint/lint.h"
#include "lint/walk.h"

namespace imagebuild::lint {

// --- Of the file as it is written

// ConsistentInstructionCasing, NoEmptyContinuation, MaintainerDeprecated
void check_spelling(const LintInput& input, Findings& findings);
// InvalidDefinitionDescription
void check_descriptions(const LintInput& input, Findings& findings);
// StageNameCasing, FromAsCasing, DuplicateStageName, ReservedStageName
void check_names(const LintInput& input, Findings& findings);
// UndefinedArgInFrom, InvalidDefaultArgInFrom, RedundantTargetPlatform, FromPlatformFlagConstDisallowed
void check_from(const LintInput& input, Findings& findings);

// --- Of the instructions of a stage, one after the other: what walk() visits

// InvalidBaseImagePlatform
void check_base(const BaseTurn& turn, Findings& findings);
// UndefinedVar
void check_variables(const Turn& turn, Findings& findings);
// LegacyKeyValueFormat, SecretsUsedInArgOrEnv
void check_settings(const Turn& turn, Findings& findings);
// WorkdirRelativePath, CopyIgnoredFile
void check_paths(const Turn& turn, Findings& findings);
// ExposeProtoCasing, ExposeInvalidFormat
void check_ports(const Turn& turn, Findings& findings);
// JSONArgsRecommended, MultipleInstructionsDisallowed
void check_commands(const Turn& turn, Findings& findings);

}  // namespace imagebuild::lint
