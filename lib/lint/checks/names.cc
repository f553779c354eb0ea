// What stages are called.
#include <string>

#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

void check_names(const LintInput& input, Findings& findings) {
  for (const dockerfile::Stage& stage : input.file.stages) {
    const dockerfile::From& from = stage.from();
    if (!from.name) continue;
    const std::string& written = from.name->text;
    if (written != dockerfile::lower(written)) {
      findings.add("StageNameCasing", from.name->at,
                   "the stage name '" + written + "' has capital letters, which looks like a keyword; write '" +
                       dockerfile::lower(written) + "'");
    }
  }
}

}  // namespace imagebuild::lint
