// Compilers and headers that a RUN installs into the final image.
#include <string>

#include "lint/pitfalls/packages.h"
#include "lint/pitfalls/pitfalls.h"
#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

void check_build_tools(const FileView& view, Findings& findings) {
  if (names_a_workshop(view.target().stage.name)) return;
  for (const int stage : view.chain(view.target().stage.index)) {
    for (const StepView& step : view.at(stage).steps) {
      const dockerfile::Run* const run = step.run();
      if (run == nullptr) continue;
      const std::vector<std::string> tools = build_tools_left(commands_of(run->command));
      if (tools.empty()) continue;
      findings.add("BuildToolsInFinalStage", step.instruction.at,
                   shortly_listed(tools) + (tools.size() == 1 ? " is" : " are") +
                       " only needed to build, but the final image keeps " + (tools.size() == 1 ? "it" : "them") +
                       "; build in a stage of its own and take the result with COPY --from, or remove " +
                       (tools.size() == 1 ? "it" : "them") + " in the same RUN");
    }
  }
}

}  // namespace imagebuild::lint
