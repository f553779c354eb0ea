// Checks of a Dockerfile: BuildKit's build checks under their names. Pure: reads no file, no registry, runs nothing.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/warning.h"
#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"
#include "oci/platform.h"

namespace imagebuild::lint {

// What the configuration of a base image says, for the checks that depend on it.
struct BaseFacts {
  std::vector<std::string> environment;   // "NAME=value"
  std::vector<std::string> shell;         // SHELL; empty: the default.
  std::optional<oci::Platform> platform;  // Unset: not known.
};

// Everything but `file` may be left as it is. Refers to what it is given while check() runs.
struct LintInput {
  const dockerfile::Dockerfile& file;  // Parsed without errors.

  std::map<std::string, std::string> build_args;  // --build-arg. BUILDKIT_DOCKERFILE_CHECK replaces `# check=`.
  oci::Platform build_platform = oci::Platform::host();
  oci::Platform target_platform = oci::Platform::host();
  // A stage's name or index: only the instructions of the stages it needs are checked, as in a build. Empty: those of
  // all stages, as BuildKit's `--check` does; a build without a target names the last stage.
  std::string target;
  std::vector<std::string> named_contexts;          // Names given with --build-context.
  const dockerfile::IgnoreRules* ignore = nullptr;  // .dockerignore; nullptr: not known, or none.
  // The base image of this name (variables expanded) for this platform; nothing when it is not known. Unset: none is.
  // Where the base is not known, UndefinedVar leaves out what the base may well set.
  std::function<std::optional<BaseFacts>(const std::string& image, const oci::Platform& platform)> base;
};

// Runs every check of the file and applies its `# check=` directive. Sorted by place. A file that cannot be solved (a
// bad expansion, an unknown stage) is checked as far as possible: the error itself is solve()'s to report.
std::vector<api::Warning> check(const LintInput& input);

// What `# check=skip=…` says about the rules of the image, for Plan::skipped_rules.
std::vector<api::SkippedRule> skipped_rules(const LintInput& input);

// `# check=error=true`: findings are errors, and a build that has any fails.
bool findings_are_errors(const LintInput& input);

}  // namespace imagebuild::lint
