#include "lint/lint.h"

#include "dockerfile/directives.h"
#include "lint/checks/checks.h"
#include "lint/findings.h"
#include "lint/pitfalls/pitfalls.h"
#include "lint/rules.h"
#include "lint/walk.h"

namespace imagebuild::lint {

namespace {

constexpr const char* kCheckArgument = "BUILDKIT_DOCKERFILE_CHECK";

struct Settings {
  dockerfile::Directives directives;  // The checks of the file, or what the build argument says instead.
  std::vector<dockerfile::Diagnostic> wrong;
};

Settings settings_of(const LintInput& input) {
  const auto argument = input.build_args.find(kCheckArgument);
  if (argument == input.build_args.end()) return Settings{input.file.directives, {}};
  Settings settings;
  std::vector<dockerfile::Diagnostic> warnings;
  dockerfile::DirectiveReader(settings.directives, settings.wrong, warnings)
      .read("# check=" + argument->second, {1, 1});
  return settings;
}

using FileCheck = void (*)(const LintInput&, Findings&);
constexpr FileCheck kFileChecks[] = {check_spelling, check_descriptions, check_names, check_from, check_pitfalls};

using StepCheck = void (*)(const Turn&, Findings&);
constexpr StepCheck kStepChecks[] = {check_variables, check_settings, check_paths, check_ports, check_commands};

}  // namespace

std::vector<api::Warning> check(const LintInput& input) {
  const Settings settings = settings_of(input);
  Findings findings(input.file, settings.directives);
  for (const FileCheck run : kFileChecks) run(input, findings);
  walk(
      input, [&](const BaseTurn& turn) { check_base(turn, findings); },
      [&](const Turn& turn) {
        for (const StepCheck run : kStepChecks) run(turn, findings);
      });
  std::vector<api::Warning> warnings = findings.sorted();
  for (const dockerfile::Diagnostic& wrong : settings.wrong) {
    warnings.insert(warnings.begin(),
                    api::Warning{"", std::string("--build-arg ") + kCheckArgument + ": " + wrong.message, {}});
  }
  return warnings;
}

std::vector<api::SkippedRule> skipped_rules(const LintInput& input) {
  std::vector<api::SkippedRule> skipped = Findings(input.file, settings_of(input).directives).skipped();
  std::erase_if(skipped, [](const api::SkippedRule& it) {
    const Rule* const rule = find_rule(it.rule);
    return it.rule != "all" && (rule == nullptr || rule->shows == Shows::kInFile);
  });
  return skipped;
}

bool findings_are_errors(const LintInput& input) {
  return settings_of(input).directives.checks_are_errors;
}

}  // namespace imagebuild::lint
