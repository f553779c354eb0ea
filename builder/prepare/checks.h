// The checks of a Dockerfile (lib/lint) as part of a build: what they find becomes warnings of the plan.
#pragma once

#include <span>
#include <vector>

#include "api/warning.h"
#include "base/result.h"
#include "build/goals.h"
#include "build/solve.h"
#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"

namespace imagebuild::builder {

// What the file's stages that `goals` need have to be told of, each once. kInvalidInput, with the findings in it, for a
// file that wants to fail for them (`# check=error=true`).
Result<std::vector<api::Warning>> check_dockerfile(const dockerfile::Dockerfile& dockerfile,
                                                   const build::SolveOptions& options,
                                                   std::span<const build::Goal> goals, const build::Images& images,
                                                   const dockerfile::IgnoreRules& ignore);

// What the file says of rules that only the built image can break, for Plan::skipped_rules.
std::vector<api::SkippedRule> skipped_rules(const dockerfile::Dockerfile& dockerfile,
                                            const build::SolveOptions& options);

}  // namespace imagebuild::builder
