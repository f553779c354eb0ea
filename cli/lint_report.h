// What `imagebuild lint` found, as text, JSON and SARIF. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/warning.h"

namespace imagebuild::cli {

// The rule of what makes a Dockerfile unusable. It is no rule of lint/rules.h: nothing switches it off.
inline constexpr const char* kDockerfileError = "DockerfileError";

struct LintFinding {
  api::Warning warning;
  bool is_error = false;
};

struct LintReport {
  std::string file;                   // The Dockerfile, as messages name it.
  std::string source;                 // Its text.
  std::vector<LintFinding> findings;  // By place.
};

// Each finding with its source line and a caret, and where its rule is explained; nothing when there are none.
std::string lint_text(const LintReport& report);
// docs/reference/cli.md describes the format.
std::string lint_json(const LintReport& report);
// SARIF 2.1.0, with every rule that it mentions.
std::string lint_sarif(const LintReport& report);

}  // namespace imagebuild::cli
