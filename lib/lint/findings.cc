#include "lint/findings.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "dockerfile/lines.h"
#include "lint/rules.h"

namespace imagebuild::lint {

namespace {

bool names(const std::vector<std::string>& list, std::string_view rule) {
  return std::ranges::any_of(list, [&](const std::string& name) { return name == rule || name == "all"; });
}

std::string_view cut(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = dockerfile::trim_blanks(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// The rules of a comment "# check=skip=A,B"; what else such a comment may say is for the whole file only.
std::vector<std::string> skips_of(std::string_view line) {
  std::vector<std::string> rules;
  line = dockerfile::trim_blanks(line);
  if (!line.starts_with('#')) return rules;
  line = dockerfile::trim_blanks(line.substr(1));
  if (dockerfile::lower(cut(line, '=')) != "check") return rules;
  while (!line.empty()) {
    std::string_view option = cut(line, ';');
    if (cut(option, '=') != "skip") continue;
    option = option.substr(0, option.find_first_of(" \t"));  // A remark may follow.
    while (!option.empty()) rules.emplace_back(cut(option, ','));
  }
  return rules;
}

// The rules that the comments directly above line `number` (from 1) skip.
std::vector<std::string> skips_above(const std::vector<dockerfile::PhysicalLine>& lines, int number) {
  for (std::size_t i = static_cast<std::size_t>(number) - 1; i > 0; --i) {
    const std::string_view line = dockerfile::trim_blanks(lines[i - 1].text);
    if (!line.starts_with('#')) break;
    if (auto rules = skips_of(line); !rules.empty()) return rules;
  }
  return {};
}

}  // namespace

Findings::Findings(const dockerfile::Dockerfile& file)
    : skipped_(file.directives.skipped_checks), experimental_(file.directives.experimental_checks) {
  const std::vector<dockerfile::PhysicalLine> lines = dockerfile::split_lines(file.source);
  const auto note = [&](const dockerfile::Instruction& instruction) {
    if (instruction.at.line < 1 || static_cast<std::size_t>(instruction.at.line) > lines.size()) return;
    std::vector<std::string> rules = skips_above(lines, instruction.at.line);
    if (!rules.empty()) local_.push_back({instruction.at.line, instruction.last_line, std::move(rules)});
  };
  std::ranges::for_each(file.global_args, note);
  for (const dockerfile::Stage& stage : file.stages) {
    note(stage.instruction);
    std::ranges::for_each(stage.steps, note);
  }
}

bool Findings::wants(std::string_view rule) const {
  const Rule* const known = find_rule(rule);
  if (known == nullptr) std::abort();
  return !names(skipped_, rule) && (known->on_by_default || names(experimental_, rule));
}

bool Findings::skipped_at(std::string_view rule, int line) const {
  const auto after = std::ranges::upper_bound(local_, line, {}, &LocalSkip::first_line);
  if (after == local_.begin()) return false;
  const LocalSkip& skip = *std::prev(after);
  return line <= skip.last_line && names(skip.rules, rule);
}

void Findings::add(std::string_view rule, dockerfile::Position at, std::string message) {
  add(rule, api::SourceLine{at.line, at.column}, std::move(message));
}

void Findings::add(std::string_view rule, api::SourceLine at, std::string message) {
  if (wants(rule) && !skipped_at(rule, at.line)) {
    warnings_.push_back(api::Warning{std::string(rule), std::move(message), at});
  }
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
