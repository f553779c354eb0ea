#include "cli/lint_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/help_texts.h"

namespace imagebuild::cli {

namespace {

constexpr const char* kName = "imagebuild lint";

struct Raw {
  LintOptions options;
  std::vector<std::string> build_args, build_contexts;
  std::string platform, format = "text";
};

void add_options(CLI::App& app, Raw& raw) {
  app.add_option("CONTEXT", raw.options.context, kLintContextHelp)->type_name("");
  add_text(app, "-f,--file", raw.options.dockerfile, "FILE", kFileHelp)->group("What is checked");
  add_text(app, "--target", raw.options.target, "STAGE", kLintTargetHelp)->group("What is checked");
  add_repeated(app, "--build-arg", raw.build_args, "K[=V]", kBuildArgHelp)->group("What is checked");
  add_text(app, "--platform", raw.platform, "OS/ARCH[,…]", kLintPlatformHelp)->group("What is checked");
  add_repeated(app, "--build-context", raw.build_contexts, "NAME=VALUE", kLintBuildContextHelp)
      ->group("What is checked");
  add_text(app, "--format", raw.format, "FORMAT", kLintFormatHelp)->group("How it is shown");
  app.add_flag("--warn-only", raw.options.warn_only, kWarnOnlyHelp)->group("How it is shown");
  app.set_help_flag("-h,--help", "Print this text")->group("How it is shown");
}

Status take_build_args(Raw& raw, const Environment& environment) {
  for (const std::string& text : raw.build_args) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty()) {
      return Error{ErrorCode::kInvalidInput, "--build-arg: " + in_quotes(text) + " has no name"};
    }
    const std::optional<std::string> value =
        equals == std::string::npos ? environment(name) : std::optional(text.substr(equals + 1));
    if (value) raw.options.build_args.insert_or_assign(name, *value);
  }
  return ok();
}

Status take_platforms(Raw& raw) {
  std::string_view rest = raw.platform;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::parse(rest.substr(0, comma)).in("--platform"));
    raw.options.platforms.push_back(std::move(platform));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (raw.options.platforms.empty()) raw.options.platforms.push_back(oci::Platform::host());
  return ok();
}

Result<LintOptions> check(Raw& raw, const Environment& environment) {
  RETURN_IF_ERROR(take_build_args(raw, environment));
  RETURN_IF_ERROR(take_platforms(raw));
  for (const std::string& text : raw.build_contexts) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Error{ErrorCode::kInvalidInput, "--build-context: " + in_quotes(text) + " is not NAME=VALUE"};
    }
    raw.options.named_contexts.push_back(text.substr(0, equals));
  }
  ASSIGN_OR_RETURN(
      raw.options.format,
      choose<LintFormat>("--format", raw.format,
                         {{"text", LintFormat::kText}, {"json", LintFormat::kJson}, {"sarif", LintFormat::kSarif}}));
  return std::move(raw.options);
}

}  // namespace

Command parse_lint(std::span<const std::string> arguments, const Environment& environment) {
  CLI::App app(kLintDescription, kName);
  app.formatter(std::make_shared<HelpFormatter>("[CONTEXT]"));
  app.footer(kLintFooter);
  app.allow_extras();
  Raw raw;
  add_options(app, raw);
  if (auto instead = parse_rest(app, arguments, 1, kName)) return std::move(*instead);
  if (const auto excess = excess_argument(app, raw.options.context)) return UsageError{*excess, kName};
  Result<LintOptions> options = check(raw, environment);
  if (!options.ok()) return UsageError{options.error().message, kName};
  return std::move(*options);
}

}  // namespace imagebuild::cli
