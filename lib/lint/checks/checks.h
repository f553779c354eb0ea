// The checks of check(): each looks at the whole file for one kind of mistake. The table of rules is lint/rules.h.
#pragma once

#include "lint/findings.h"
#include "lint/lint.h"

namespace imagebuild::lint {

// StageNameCasing
void check_names(const LintInput& input, Findings& findings);

}  // namespace imagebuild::lint
