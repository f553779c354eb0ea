#include "builder/prepare/checks.h"

#include <algorithm>
#include <string>

#include "lint/lint.h"
#include "lint/rules.h"
#include "oci/manifest.h"

namespace imagebuild::builder {

namespace {

// The stages that nothing follows: what a build without a target builds.
std::string target_of(const dockerfile::Dockerfile& dockerfile, const build::Goal& goal) {
  return goal.target.empty() ? std::to_string(dockerfile.stages.size() - 1) : goal.target;
}

std::optional<lint::BaseFacts> facts_of(const build::Images& images, const std::string& name,
                                        const oci::Platform& platform) {
  const auto image = images.find(build::ImageNeed{name, platform.str(), {}});
  if (image == images.end()) return std::nullopt;
  const Result<oci::ImageConfig> config = oci::ImageConfig::parse(image->second.config_json);
  if (!config.ok()) return std::nullopt;
  return lint::BaseFacts{config->config.env, config->config.shell, config->platform};
}

// A build measures what these rules speak of, and says it at its end, with bytes.
bool is_measured(const api::Warning& warning) {
  const lint::Rule* const rule = lint::find_rule(warning.rule);
  return rule != nullptr && rule->shows == lint::Shows::kInBoth;
}

Error as_error(const dockerfile::Dockerfile& dockerfile, const std::vector<api::Warning>& findings) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, findings.size()); ++i) {
    const api::Warning& finding = findings[i];
    const std::string message = finding.rule.empty() ? finding.message : finding.rule + ": " + finding.message;
    text += dockerfile::located_error(dockerfile.file, {finding.at.line, finding.at.column}, message).message + "\n";
  }
  if (findings.size() > kShown) text += "and " + std::to_string(findings.size() - kShown) + " more\n";
  return Error{ErrorCode::kInvalidInput, text + "these are errors because the Dockerfile says '# check=error=true'"};
}

}  // namespace

Result<std::vector<api::Warning>> check_dockerfile(const dockerfile::Dockerfile& dockerfile,
                                                   const build::SolveOptions& options,
                                                   std::span<const build::Goal> goals, const build::Images& images,
                                                   const dockerfile::IgnoreRules& ignore) {
  std::vector<api::Warning> found;
  bool are_errors = false;
  for (const build::Goal& goal : goals) {
    lint::LintInput input{.file = dockerfile};
    input.build_args = options.build_args;
    input.build_platform = options.build_platform;
    input.target_platform = goal.platform;
    input.target = target_of(dockerfile, goal);
    for (const auto& [name, image] : options.named_contexts) input.named_contexts.push_back(name);
    input.ignore = &ignore;
    input.base = [&](const std::string& name, const oci::Platform& platform) {
      return facts_of(images, name, platform);
    };
    are_errors = lint::findings_are_errors(input);
    for (api::Warning& warning : lint::check(input)) {
      if (is_measured(warning) && !are_errors) continue;
      if (std::ranges::find(found, warning) == found.end()) found.push_back(std::move(warning));
    }
  }
  if (are_errors && !found.empty()) return as_error(dockerfile, found);
  return found;
}

std::vector<api::SkippedRule> skipped_rules(const dockerfile::Dockerfile& dockerfile,
                                            const build::SolveOptions& options) {
  lint::LintInput input{.file = dockerfile};
  input.build_args = options.build_args;
  return lint::skipped_rules(input);
}

}  // namespace imagebuild::builder
