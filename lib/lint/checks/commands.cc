// What a container of the image runs: CMD, ENTRYPOINT and HEALTHCHECK.
#include <string>

#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

const dockerfile::CommandLine* command_line(const dockerfile::Command& command) {
  if (const auto* cmd = std::get_if<dockerfile::Cmd>(&command)) return &cmd->command;
  if (const auto* entrypoint = std::get_if<dockerfile::Entrypoint>(&command)) return &entrypoint->command;
  return nullptr;
}

}  // namespace

void check_commands(const Turn& turn, Findings& findings) {
  const dockerfile::Command& command = turn.instruction.command;
  const std::string keyword(dockerfile::keyword_of(command));
  // With a SHELL of one's own the shell form is meant.
  if (const auto* line = command_line(command); line != nullptr && !line->exec && !turn.shell_set) {
    findings.add("JSONArgsRecommended", turn.instruction.at,
                 keyword +
                     " in shell form runs below a shell, which does not pass signals on, so the container cannot "
                     "stop cleanly; write " +
                     keyword + " [\"program\", \"argument\"]");
  }
  if (const auto earlier = turn.last.find(keyword); earlier != turn.last.end()) {
    findings.add("MultipleInstructionsDisallowed", earlier->second,
                 "this " + keyword + " has no effect, because line " + std::to_string(turn.instruction.at.line) +
                     " of the same stage replaces it; remove one of them");
  }
}

}  // namespace imagebuild::lint
