// Checks of a Dockerfile: BuildKit's build checks under their names. Pure: reads no file, no registry, runs nothing.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/warning.h"
#include "dockerfile/parser.h"
#include "dockerfile/scope.h"

namespace imagebuild::lint {

// What the configuration of a base image says, for the checks that depend on it.
struct BaseFacts {
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<std::string> shell;        // SHELL; empty: the default.
  std::string platform;                  // "linux/amd64"; empty: not known.
};

// Everything but `file` may be left as it is. Refers to the file; the functions are called during check() only.
struct LintInput {
  const dockerfile::Dockerfile& file;  // Parsed without errors.

  std::map<std::string, std::string> build_args;  // --build-arg
  dockerfile::PlatformNames build_platform;
  dockerfile::PlatformNames target_platform;
  // A stage's name or index: only the instructions of the stages it needs are checked. Empty: those of all stages, as
  // BuildKit's `--check` does.
  std::string target;
  std::vector<std::string> named_contexts;  // Names given with --build-context.
  // Whether .dockerignore leaves out this path, relative to the context. Unset: nothing is left out.
  std::function<bool(std::string_view path)> ignored;
  // The base image of this name (variables expanded) for this platform; nothing when it is not known. Unset: none is.
  // Where the base is not known, UndefinedVar leaves out what the base may well set.
  std::function<std::optional<BaseFacts>(const std::string& image, const std::string& platform)> base;
};

// Runs every check of the file and applies its `# check=` directive. A file that cannot be solved (a bad expansion, an
// unknown stage) is checked as far as possible: the error itself is solve()'s to report.
std::vector<api::Warning> check(const LintInput& input);

// `# check=error=true`: findings are errors, and a build with any fails.
bool findings_are_errors(const dockerfile::Dockerfile& file);

}  // namespace imagebuild::lint
