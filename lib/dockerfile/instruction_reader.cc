#include "dockerfile/instruction_reader.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace imagebuild::dockerfile {

namespace {

using Reader = std::optional<Command> (*)(const RawInstruction&, Findings&);

std::optional<Command> read_onbuild(const RawInstruction& raw, Findings& findings);

const std::map<std::string, Reader, std::less<>>& readers() {
  static const std::map<std::string, Reader, std::less<>> table = {
      {"FROM", read_from},
      {"RUN", read_run},
      {"CMD", read_cmd_or_entrypoint},
      {"ENTRYPOINT", read_cmd_or_entrypoint},
      {"SHELL", read_shell},
      {"COPY", read_copy_or_add},
      {"ADD", read_copy_or_add},
      {"ENV", read_env_or_label},
      {"LABEL", read_env_or_label},
      {"ARG", read_arg},
      {"EXPOSE", read_expose},
      {"VOLUME", read_volume},
      {"USER", read_single},
      {"WORKDIR", read_single},
      {"STOPSIGNAL", read_single},
      {"MAINTAINER", read_single},
      {"HEALTHCHECK", read_health_check},
      {"ONBUILD", read_onbuild},
  };
  return table;
}

std::string one_line(const RawInstruction& raw, const Command& command) {
  if (const auto* onbuild = std::get_if<Onbuild>(&command)) return "ONBUILD " + onbuild->trigger->text;
  if (raw.line.rest.empty()) return raw.keyword;
  return raw.keyword + " " + std::string(raw.line.rest.view());
}

std::optional<Command> read_onbuild(const RawInstruction& raw, Findings& findings) {
  const Piece& trigger = raw.line.arguments;
  if (!raw.line.flags.empty()) {
    findings.error(raw.line.flags.front().at, "ONBUILD takes no flags; write them behind the instruction it holds");
    return std::nullopt;
  }
  if (trigger.empty()) {
    findings.error(raw.line.keyword.at(), "ONBUILD needs an instruction, like ONBUILD RUN make");
    return std::nullopt;
  }
  const std::string inner = upper(split_line(trigger).keyword.view());
  if (inner == "ONBUILD" || inner == "FROM" || inner == "MAINTAINER") {
    findings.error(trigger.at(), "ONBUILD cannot hold " + inner);
    return std::nullopt;
  }
  Onbuild onbuild;
  onbuild.text = trigger.view();
  for (const Heredoc& heredoc : raw.heredocs) onbuild.text += "\n" + heredoc.content + heredoc.name;
  auto instruction = read_instruction(trigger, raw.heredocs, raw.escape, false, findings);
  if (!instruction) return std::nullopt;
  onbuild.trigger = std::make_shared<const Instruction>(std::move(*instruction));
  return onbuild;
}

}  // namespace

const std::vector<std::string>& instruction_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const auto& [name, reader] : readers()) list.push_back(name);
    return list;
  }();
  return names;
}

std::optional<Instruction> read_instruction(const Piece& line, std::vector<Heredoc> heredocs, char escape, bool follows,
                                            Findings& findings) {
  RawInstruction raw{{}, split_line(line), std::move(heredocs), escape};
  raw.keyword = upper(raw.line.keyword.view());
  const Position at = raw.line.keyword.at();
  const auto reader = readers().find(raw.keyword);
  if (reader == readers().end()) {
    const std::string written(raw.line.keyword.view());
    std::string hint = did_you_mean(raw.keyword, instruction_names(), "", "");
    if (hint.empty() && follows)
      hint = std::string("; a line that belongs to the one before needs a ") + escape + " at the end of that";
    findings.error(at, "unknown instruction '" + written + "'" + hint);
    return std::nullopt;
  }
  const std::size_t errors_before = findings.errors.size();
  auto command = reader->second(raw, findings);
  if (!command || findings.errors.size() > errors_before) return std::nullopt;
  Instruction instruction;
  instruction.keyword = raw.line.keyword.view();
  instruction.at = at;
  instruction.text = one_line(raw, *command);
  instruction.command = std::move(*command);
  return instruction;
}

bool is_literal(std::string_view text) {
  return text.find_first_of("$\\`'\"") == std::string_view::npos;
}

}  // namespace imagebuild::dockerfile
