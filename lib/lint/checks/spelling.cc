// How instructions are written: the case of keywords, empty lines, an instruction that is out of date.
#include <functional>
#include <string>

#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Instruction;
using dockerfile::lower;
using dockerfile::upper;

// The ARGs before the first FROM do not take part, as in BuildKit.
void for_each(const dockerfile::Dockerfile& file, const std::function<void(const Instruction&)>& visit) {
  for (const dockerfile::Stage& stage : file.stages) {
    visit(stage.instruction);
    for (const Instruction& step : stage.steps) visit(step);
  }
}

void check_casing(const dockerfile::Dockerfile& file, Findings& findings) {
  int lower_case = 0;
  int upper_case = 0;
  for_each(file, [&](const Instruction& instruction) {
    if (instruction.keyword == lower(instruction.keyword)) {
      ++lower_case;
    } else if (instruction.keyword == upper(instruction.keyword)) {
      ++upper_case;
    }
  });
  const bool mostly_lower = lower_case > upper_case;
  for_each(file, [&](const Instruction& instruction) {
    const std::string right = mostly_lower ? lower(instruction.keyword) : upper(instruction.keyword);
    if (instruction.keyword == right) return;
    findings.add("ConsistentInstructionCasing", instruction.at,
                 "'" + instruction.keyword + "' is not written like most instructions of this file, which are in " +
                     (mostly_lower ? "lower" : "upper") + " case; write '" + right + "'");
  });
}

}  // namespace

void check_spelling(const LintInput& input, Findings& findings) {
  check_casing(input.file, findings);
  for (const dockerfile::Position& at : input.file.empty_continuations) {
    findings.add("NoEmptyContinuation", at,
                 "an empty line inside an instruction, which a later version of the language may refuse; remove it or "
                 "make it a comment");
  }
  for_each(input.file, [&](const Instruction& instruction) {
    const auto* maintainer = std::get_if<dockerfile::Maintainer>(&instruction.command);
    if (maintainer == nullptr) return;
    findings.add("MaintainerDeprecated", instruction.at,
                 "MAINTAINER is out of date and few tools show it; write LABEL "
                 "org.opencontainers.image.authors=\"" +
                     maintainer->name.text + "\"");
  });
}

}  // namespace imagebuild::lint
