#include "lint/lint.h"

#include "lint/checks/checks.h"
#include "lint/findings.h"

namespace imagebuild::lint {

namespace {

using Check = void (*)(const LintInput&, Findings&);

constexpr Check kChecks[] = {check_names};

}  // namespace

std::vector<api::Warning> check(const LintInput& input) {
  Findings findings(input.file);
  for (const Check run : kChecks) run(input, findings);
  return findings.sorted();
}

bool findings_are_errors(const dockerfile::Dockerfile& file) {
  return file.directives.checks_are_errors;
}

}  // namespace imagebuild::lint
