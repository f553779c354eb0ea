// The instructions that hold a command: RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK.
#include <algorithm>
#include <charconv>

#include "dockerfile/durations.h"
#include "dockerfile/flag_reader.h"
#include "dockerfile/instruction_reader.h"
#include "dockerfile/json_array.h"

namespace imagebuild::dockerfile {

namespace {

std::optional<std::chrono::nanoseconds> read_interval(FlagReader& flags, std::string_view name, Findings& findings) {
  const auto word = flags.text(name);
  if (!word) return std::nullopt;
  const auto duration = parse_duration(word->text);
  const std::string flag = "--" + std::string(name);
  if (!duration) {
    findings.error(word->at, flag + " has to be a duration like 30s, 1m30s or 500ms, not '" + word->text + "'");
  } else if (duration->count() != 0 && *duration < std::chrono::milliseconds(1)) {
    findings.error(word->at, flag + " cannot be less than 1ms");
  } else if (duration->count() != 0) {
    return duration;
  }
  return std::nullopt;  // 0 is Docker's word for "the default".
}

std::optional<int> read_retries(FlagReader& flags, Findings& findings) {
  const auto word = flags.text("retries");
  if (!word) return std::nullopt;
  std::string_view text = word->text;
  if (text.size() > 1 && text.front() == '+') text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    findings.error(word->at, "--retries has to be a number from 0, not '" + word->text + "'");
    return std::nullopt;
  }
  return value;
}

void read_mounts(FlagReader& flags, Run& run, Findings& findings) {
  for (const Flag* flag : flags.all("mount")) {
    const auto locate = [flag](std::size_t offset) {
      return flag->value_at[std::min(offset, flag->value_at.size() - 1)];
    };
    if (findings.full()) return;
    if (auto mount = parse_mount(value_of(*flag), locate, findings.errors)) run.mounts.push_back(std::move(*mount));
  }
}

}  // namespace

std::optional<CommandLine> read_command_line(const RawInstruction& raw, const Piece& piece, Findings& findings) {
  CommandLine command;
  JsonArray array = parse_json_array(piece);
  if (array.kind == JsonArray::Kind::kNotStrings) {
    findings.error(array.bad, "a JSON array behind " + raw.keyword + " may hold strings only");
    return std::nullopt;
  }
  command.exec = array.kind == JsonArray::Kind::kStrings;
  if (command.exec) {
    command.argv = std::move(array.words);
    return command;
  }
  command.shell = piece.word();
  if (piece.view().substr(0, 1) == "[" && piece.view().back() == ']') {
    findings.warn(piece.at(),
                  "this looks like a JSON array but is none, so the shell gets it as it is; JSON strings need "
                  "double quotes");
  }
  return command;
}

std::optional<Command> read_run(const RawInstruction& raw, Findings& findings) {
  Run run;
  FlagReader flags(raw.keyword, raw.line.flags, findings.errors);
  read_mounts(flags, run, findings);
  run.network_word = flags.choice("network", {"default", "none", "host"});
  if (run.network_word && run.network_word->text == "none") run.network = Network::kNone;
  if (run.network_word && run.network_word->text == "host") run.network = Network::kHost;
  run.security_word = flags.choice("security", {"sandbox", "insecure"});
  if (run.security_word && run.security_word->text == "insecure") run.security = Security::kInsecure;
  for (const Flag* flag : flags.all("device")) run.devices.push_back(value_of(*flag));
  flags.finish();
  auto command = read_command_line(raw, raw.line.arguments, findings);
  if (!command) return std::nullopt;
  if (command->exec ? command->argv.empty() : command->shell.text.empty()) {
    findings.error(raw.line.keyword.at(), "RUN needs a command");
    return std::nullopt;
  }
  run.command = std::move(*command);
  run.command.heredocs = raw.heredocs;
  return run;
}

std::optional<Command> read_cmd_or_entrypoint(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  if (!raw.line.flags.empty()) return std::nullopt;
  auto command = read_command_line(raw, raw.line.arguments, findings);
  if (!command) return std::nullopt;
  if (!command->exec && command->shell.text.empty()) {
    findings.error(raw.line.keyword.at(),
                   raw.keyword + " needs a command; write " + raw.keyword + " [] to clear the inherited one");
    return std::nullopt;
  }
  if (raw.keyword == "CMD") return Cmd{std::move(*command)};
  return Entrypoint{std::move(*command)};
}

std::optional<Command> read_shell(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  auto command = read_command_line(raw, raw.line.arguments, findings);
  if (!command) return std::nullopt;
  if (!command->exec || command->argv.empty()) {
    const Position at = raw.line.arguments.empty() ? raw.line.keyword.at() : raw.line.arguments.at();
    findings.error(at, "SHELL needs a JSON array with at least one string, like SHELL [\"/bin/bash\", \"-c\"]");
    return std::nullopt;
  }
  return Shell{std::move(command->argv)};
}

std::optional<Command> read_health_check(const RawInstruction& raw, Findings& findings) {
  const Piece& arguments = raw.line.arguments;
  const SplitLine parts = split_line(arguments);
  const std::string type = upper(parts.keyword.view());
  HealthCheck check;
  if (type == "NONE") {
    check.none = true;
    if (!raw.line.flags.empty()) findings.error(raw.line.flags.front().at, "HEALTHCHECK NONE takes no flags");
    if (!parts.rest.empty()) findings.error(parts.rest.at(), "HEALTHCHECK NONE takes no arguments");
    return check;
  }
  FlagReader flags(raw.keyword, raw.line.flags, findings.errors);
  check.interval = read_interval(flags, "interval", findings);
  check.timeout = read_interval(flags, "timeout", findings);
  check.start_period = read_interval(flags, "start-period", findings);
  check.start_interval = read_interval(flags, "start-interval", findings);
  check.retries = read_retries(flags, findings);
  flags.finish();
  if (type != "CMD") {
    if (type.empty()) {
      findings.error(raw.line.keyword.at(), "HEALTHCHECK needs CMD and a command, or NONE");
    } else {
      findings.error(parts.keyword.at(), "unknown kind of HEALTHCHECK '" + std::string(parts.keyword.view()) +
                                             "'; write HEALTHCHECK CMD … or HEALTHCHECK NONE");
    }
    return std::nullopt;
  }
  auto command = read_command_line(raw, parts.rest, findings);
  if (!command) return std::nullopt;
  if (command->exec ? command->argv.empty() : command->shell.text.empty()) {
    findings.error(parts.keyword.at(), "HEALTHCHECK CMD needs a command");
    return std::nullopt;
  }
  check.command = std::move(*command);
  return check;
}

}  // namespace imagebuild::dockerfile
