#include "cli/lint_command.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "build/solve.h"
#include "builder/prepare/context.h"
#include "cli/lint_report.h"
#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"
#include "lint/lint.h"

namespace imagebuild::cli {

namespace {

namespace fs = std::filesystem;

struct LintSource {
  LintReport report;  // Without findings.
  dockerfile::IgnoreRules ignore;
};

Result<std::string> read_stdin() {
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  if (text.size() > dockerfile::kMaxFileBytes) {
    return Error{ErrorCode::kLimit, "the Dockerfile on standard input is larger than 4 MiB"};
  }
  return text;
}

// The text of a Dockerfile that is given in the place of the context, if that is what it is: tars have NUL bytes.
std::optional<std::string> as_dockerfile(const LintOptions& options) {
  std::error_code error;
  if (!options.dockerfile.empty() || options.context == "-" || !fs::is_regular_file(options.context, error)) {
    return std::nullopt;
  }
  Result<std::string> text = read_file(options.context, dockerfile::kMaxFileBytes);
  if (!text.ok() || text->find('\0') != std::string::npos) return std::nullopt;
  return std::move(*text);
}

Result<dockerfile::IgnoreRules> ignore_rules(const builder::Context& context, const fs::path& dockerfile) {
  const auto read = [&](const fs::path& path) -> Result<std::optional<std::string>> {
    if (context.folder().empty()) return context.read(path, dockerfile::kMaxFileBytes);
    Result<std::string> text = read_file(path, dockerfile::kMaxFileBytes);
    if (text.ok()) return std::optional(std::move(*text));
    if (text.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    return text.error();
  };
  ASSIGN_OR_RETURN(dockerfile::IgnoreFile file, dockerfile::read_ignore_file(context.folder(), dockerfile, read));
  return std::move(file.rules);
}

// As a build finds them; see builder/prepare.
Result<LintSource> read_source(const LintOptions& options) {
  if (const auto text = as_dockerfile(options)) {
    const fs::path path = fs::absolute(options.context);
    ASSIGN_OR_RETURN(dockerfile::IgnoreFile file, dockerfile::read_ignore_file(path.parent_path(), path));
    return LintSource{{options.context, *text, {}}, std::move(file.rules)};
  }
  if (options.dockerfile == "-" && options.context == "-") {
    return Error{ErrorCode::kInvalidInput, "the Dockerfile and the context cannot both come from standard input"};
  }
  ASSIGN_OR_RETURN(const TempDir folder, TempDir::create("imagebuild-lint-"));
  ASSIGN_OR_RETURN(const builder::Context context,
                   builder::Context::open(options.context, folder.path() / "context.tar"));
  LintSource source;
  fs::path path;  // Where an ignore file may lie beside it.
  if (options.dockerfile == "-") {
    ASSIGN_OR_RETURN(source.report.source, read_stdin());
    source.report.file = "<stdin>";
  } else if (!options.dockerfile.empty() && fs::exists(options.dockerfile)) {
    ASSIGN_OR_RETURN(source.report.source, read_file(options.dockerfile, dockerfile::kMaxFileBytes));
    source.report.file = options.dockerfile;
    path = fs::absolute(options.dockerfile);
  } else {
    source.report.file = options.dockerfile.empty() ? "Dockerfile" : options.dockerfile;
    ASSIGN_OR_RETURN(std::optional<std::string> text, context.read(source.report.file, dockerfile::kMaxFileBytes));
    if (!text) {
      return Error{ErrorCode::kNotFound, "there is no '" + source.report.file + "' in the context '" + options.context +
                                             "'; name the Dockerfile with -f"};
    }
    source.report.source = std::move(*text);
    path = context.folder().empty() ? fs::path(source.report.file) : context.folder() / source.report.file;
    if (!context.folder().empty())
      source.report.file = (fs::path(options.context) / source.report.file).lexically_normal();
  }
  ASSIGN_OR_RETURN(source.ignore, ignore_rules(context, path));
  return source;
}

LintFinding error_finding(const dockerfile::Diagnostic& error) {
  return {{kDockerfileError, error.message, {error.at.line, error.at.column}}, true};
}

// "Dockerfile:3:1: message" of `file`, taken apart; an error about no line stays whole.
LintFinding error_finding(std::string_view file, const Error& error) {
  std::string_view rest = error.message;
  dockerfile::Diagnostic found{error.code, {0, 0}, error.message};
  if (!rest.starts_with(std::string(file) + ":")) return error_finding(found);
  rest.remove_prefix(file.size() + 1);
  const auto number = [&](int& value) {
    const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (problem != std::errc() || end == rest.data() + rest.size() || *end != ':') return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
    return true;
  };
  if (number(found.at.line) && number(found.at.column)) {
    found.message = rest.starts_with(' ') ? rest.substr(1) : rest;
  } else {
    found.at = {0, 0};
  }
  return error_finding(found);
}

// What the build would refuse before it downloads anything.
std::optional<Error> refusal(const dockerfile::Dockerfile& file, const LintOptions& options,
                             const oci::Platform& platform) {
  build::SolveOptions solve;
  solve.target = options.target;
  solve.build_args = options.build_args;
  solve.target_platform = platform;
  for (const std::string& name : options.named_contexts) solve.named_contexts.emplace(name, "");
  const auto images = build::missing_images(file, solve, {});
  return images.ok() ? std::nullopt : std::optional(images.error());
}

void check(LintSource& source, const LintOptions& options) {
  LintReport& report = source.report;
  const dockerfile::ParseReport parsed = dockerfile::parse_all(report.source, report.file);
  for (const dockerfile::Diagnostic& error : parsed.errors) report.findings.push_back(error_finding(error));
  for (const dockerfile::Diagnostic& warning : parsed.warnings) {
    report.findings.push_back({{"", warning.message, {warning.at.line, warning.at.column}}, false});
  }
  if (!parsed.errors.empty()) return;
  for (const oci::Platform& platform : options.platforms) {
    lint::LintInput input{parsed.dockerfile};
    input.build_args = options.build_args;
    input.target_platform = platform;
    input.target = options.target;
    input.named_contexts = options.named_contexts;
    input.ignore = &source.ignore;
    const bool are_errors = lint::findings_are_errors(input);
    for (api::Warning& warning : lint::check(input)) report.findings.push_back({std::move(warning), are_errors});
    if (const auto error = refusal(parsed.dockerfile, options, platform)) {
      report.findings.push_back(error_finding(report.file, *error));
    }
  }
  const auto place = [](const LintFinding& finding) {
    return std::tie(finding.warning.at.line, finding.warning.at.column, finding.warning.rule, finding.warning.message);
  };
  std::ranges::sort(report.findings, {}, place);
  const auto twice = std::ranges::unique(report.findings, {}, place);
  report.findings.erase(twice.begin(), twice.end());
}

std::string shown(const LintReport& report, LintFormat format) {
  switch (format) {
    case LintFormat::kText:
      return lint_text(report);
    case LintFormat::kJson:
      return lint_json(report);
    case LintFormat::kSarif:
      return lint_sarif(report);
  }
  return {};
}

}  // namespace

int lint_command(const LintOptions& options) {
  Result<LintSource> source = read_source(options);
  if (!source.ok()) {
    std::cerr << "imagebuild: error: " << source.error().message << "\n";
    return source.error().exit_status();
  }
  check(*source, options);
  std::cout << shown(source->report, options.format) << std::flush;
  if (!std::cout.good()) return kExitInfrastructure;
  const bool failed = std::ranges::any_of(
      source->report.findings, [&](const LintFinding& finding) { return finding.is_error || !options.warn_only; });
  return failed ? kExitFailed : kExitOk;
}

}  // namespace imagebuild::cli
