// What stages are called.
#include <set>
#include <string>

#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

using dockerfile::lower;
using dockerfile::upper;

void check_keyword(const dockerfile::Stage& stage, Findings& findings) {
  const std::string& from = stage.instruction.keyword;
  const dockerfile::Word& as = *stage.from().as;
  const bool is_lower = from == lower(from);
  if (!is_lower && from != upper(from)) return;  // That is ConsistentInstructionCasing's.
  const std::string right = is_lower ? lower(as.text) : upper(as.text);
  if (as.text != right) {
    findings.add(
        "FromAsCasing", as.at,
        "'" + as.text + "' is not written like '" + from + "', so the line is harder to read; write '" + right + "'");
  }
}

}  // namespace

void check_names(const LintInput& input, Findings& findings) {
  std::set<std::string> seen;
  for (const dockerfile::Stage& stage : input.file.stages) {
    const dockerfile::From& from = stage.from();
    if (!from.name) continue;
    const std::string& written = from.name->text;
    if (written != stage.name) {
      findings.add("StageNameCasing", from.name->at,
                   "the stage name '" + written + "' has capital letters, which make it look like a keyword; write '" +
                       stage.name + "'");
    }
    check_keyword(stage, findings);
    if (stage.name == "scratch" || stage.name == "context") {
      findings.add("ReservedStageName", from.name->at,
                   "the stage name '" + stage.name +
                       "' is reserved, so FROM and --from may mean something else by it; choose another name");
    }
    if (!seen.insert(stage.name).second) {
      findings.add("DuplicateStageName", from.name->at,
                   "an earlier stage has the name '" + stage.name +
                       "' too, so it depends on the line which one is meant; give each stage its own name");
    }
  }
}

}  // namespace imagebuild::lint
