// Comments that stand where a description of a stage or an argument is expected.
#include <algorithm>
#include <string>
#include <vector>

#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

using Lines = std::vector<dockerfile::PhysicalLine>;

bool is_directive(std::string_view comment) {
  const std::string name(dockerfile::trim_blanks(comment.substr(0, comment.find('='))));
  return comment.find('=') != std::string_view::npos &&
         (dockerfile::lower(name) == "syntax" || dockerfile::lower(name) == "escape" ||
          dockerfile::lower(name) == "check");
}

// The text of the comment line directly above line `number` (from 1); empty when there is none.
std::string_view comment_above(const Lines& lines, int number) {
  const auto above = static_cast<std::size_t>(number) - 1;
  if (above < 1 || above > lines.size()) return {};
  std::string_view line = dockerfile::trim_blanks(lines[above - 1].text);
  if (!line.starts_with('#')) return {};
  line = dockerfile::trim_blanks(line.substr(1));
  return is_directive(line) ? std::string_view() : line;
}

void check_one(const Lines& lines, const dockerfile::Instruction& instruction, const std::vector<std::string>& names,
               Findings& findings) {
  const std::string_view comment = comment_above(lines, instruction.at.line);
  if (comment.empty() || names.empty()) return;
  const std::string first(comment.substr(0, comment.find(' ')));
  if (std::ranges::find(names, first) != names.end()) return;
  findings.add("InvalidDefinitionDescription", instruction.at,
               "the comment above " + std::string(dockerfile::keyword_of(instruction.command)) +
                   " is taken for a description but does not begin with '" + names.front() + "'; write '# " +
                   names.front() + " …', or leave an empty line between them");
}

void check_arg(const Lines& lines, const dockerfile::Instruction& instruction, Findings& findings) {
  const auto* arg = std::get_if<dockerfile::Arg>(&instruction.command);
  if (arg == nullptr) return;
  std::vector<std::string> names;
  for (const dockerfile::ArgDeclaration& declaration : arg->declarations) names.push_back(declaration.name.text);
  check_one(lines, instruction, names, findings);
}

}  // namespace

void check_descriptions(const LintInput& input, Findings& findings) {
  const Lines lines = dockerfile::split_lines(input.file.source);
  for (const dockerfile::Instruction& arg : input.file.global_args) check_arg(lines, arg, findings);
  for (const dockerfile::Stage& stage : input.file.stages) {
    if (!stage.name.empty()) check_one(lines, stage.instruction, {stage.name}, findings);
    for (const dockerfile::Instruction& step : stage.steps) check_arg(lines, step, findings);
  }
}

}  // namespace imagebuild::lint
