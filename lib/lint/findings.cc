#include "lint/findings.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "dockerfile/directives.h"
#include "dockerfile/lines.h"
#include "lint/rules.h"

namespace imagebuild::lint {

namespace {

bool names(const std::vector<std::string>& list, std::string_view rule) {
  return std::ranges::any_of(list, [&](const std::string& name) { return name == rule || name == "all"; });
}

// How many lines at the top are directives; they are no comments of an instruction.
std::size_t directive_lines(const std::vector<std::string_view>& lines) {
  dockerfile::Directives directives;
  std::vector<dockerfile::Diagnostic> errors;
  std::vector<dockerfile::Diagnostic> warnings;
  dockerfile::DirectiveReader reader(directives, errors, warnings);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    reader.read(lines[i], {static_cast<int>(i) + 1, 1});
    if (reader.done()) return i;
  }
  return lines.size();
}

const Rule& rule_named(std::string_view name) {
  const Rule* const rule = find_rule(name);
  if (rule == nullptr) std::abort();
  return *rule;
}

}  // namespace

// The comments of `number` above it, but not before line `top` (from 0). Only the first such comment counts. Of one
// that is wrong, nothing does: it may be a remark.
Findings::Checks Findings::checks_above(const std::vector<std::string_view>& lines, std::size_t top, int number) {
  auto first = static_cast<std::size_t>(number) - 1;
  while (first > top && dockerfile::trim_blanks(lines[first - 1]).starts_with('#')) --first;
  for (; first + 1 < static_cast<std::size_t>(number); ++first) {
    std::string_view line = dockerfile::trim_blanks(lines[first]);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    if (dockerfile::lower(dockerfile::trim_blanks(line.substr(1, equals - 1))) != "check") continue;
    line = line.substr(0, line.find_first_of(" \t", equals + 2));  // A remark may follow.
    dockerfile::Directives directives;
    std::vector<dockerfile::Diagnostic> errors;
    std::vector<dockerfile::Diagnostic> warnings;
    dockerfile::DirectiveReader(directives, errors, warnings).read(line, {number, 1});
    if (!errors.empty()) return {};
    return {std::move(directives.skipped_checks), std::move(directives.experimental_checks)};
  }
  return {};
}

Findings::Findings(const dockerfile::Dockerfile& file, const dockerfile::Directives& checks)
    : checks_{checks.skipped_checks, checks.experimental_checks} {
  std::vector<std::string_view> lines;
  for (const dockerfile::PhysicalLine& line : dockerfile::split_lines(file.source)) lines.push_back(line.text);
  const std::size_t top = directive_lines(lines);
  const auto note = [&](const dockerfile::Instruction& instruction) {
    const int first = instruction.at.line;
    if (first < 1 || static_cast<std::size_t>(first) > lines.size()) return;
    Checks local = checks_above(lines, top, first);
    if (local.skipped.empty() && local.experimental.empty()) return;
    local_.push_back({first, instruction.last_line, std::move(local)});
  };
  std::ranges::for_each(file.global_args, note);
  for (const dockerfile::Stage& stage : file.stages) {
    note(stage.instruction);
    std::ranges::for_each(stage.steps, note);
  }
}

bool Findings::wants(std::string_view rule) const {
  if (rule_named(rule).on_by_default) return !names(checks_.skipped, rule);
  return names(checks_.experimental, rule) ||
         std::ranges::any_of(local_, [&](const LocalChecks& local) { return names(local.checks.experimental, rule); });
}

const Findings::LocalChecks* Findings::checks_at(int line) const {
  const auto after = std::ranges::upper_bound(local_, line, {}, &LocalChecks::first_line);
  if (after == local_.begin()) return nullptr;
  const LocalChecks& local = *std::prev(after);
  return line <= local.last_line ? &local : nullptr;
}

void Findings::add(std::string_view rule, dockerfile::Position at, std::string message) {
  add(rule, api::SourceLine{at.line, at.column}, std::move(message));
}

void Findings::add(std::string_view rule, api::SourceLine at, std::string message) {
  if (full() || !wants(rule)) return;
  const LocalChecks* const local = checks_at(at.line);
  if (rule_named(rule).on_by_default) {
    if (local != nullptr && names(local->checks.skipped, rule)) return;
  } else if (!names(checks_.experimental, rule) && (local == nullptr || !names(local->checks.experimental, rule))) {
    return;
  }
  warnings_.push_back(api::Warning{std::string(rule), std::move(message), at});
}

std::vector<api::SkippedRule> Findings::skipped() const {
  std::vector<api::SkippedRule> skipped;
  for (const std::string& rule : checks_.skipped) skipped.push_back({rule});
  for (const LocalChecks& local : local_) {
    for (const std::string& rule : local.checks.skipped) skipped.push_back({rule, local.first_line, local.last_line});
  }
  return skipped;
}

std::vector<api::Warning> Findings::sorted() const {
  std::vector<api::Warning> result = warnings_;
  const auto key = [](const api::Warning& warning) {
    return std::tie(warning.at.line, warning.at.column, warning.rule, warning.message);
  };
  std::ranges::sort(result, {}, key);
  const auto twice = std::ranges::unique(result, {}, key);
  result.erase(twice.begin(), twice.end());
  return result;
}

}  // namespace imagebuild::lint
