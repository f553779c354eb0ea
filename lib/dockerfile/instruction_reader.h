// From one logical line to one typed instruction.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/instruction.h"
#include "dockerfile/words.h"

namespace imagebuild::dockerfile {

// The upper-case names of all instructions.
const std::vector<std::string>& instruction_names();

// One instruction, cut up but not yet understood.
struct RawInstruction {
  std::string keyword;  // Upper case.
  SplitLine line;
  std::vector<Heredoc> heredocs;  // With their content.
  char escape = '\\';
};

// Where what is found wrong goes.
struct Findings {
  std::vector<Diagnostic> errors;
  std::vector<Diagnostic> warnings;
  std::vector<Position> empty_continuations;  // As Dockerfile has them.
  bool full() const { return errors.size() >= kMaxErrors; }
  void error(Position at, std::string message) { errors.push_back({ErrorCode::kInvalidInput, at, std::move(message)}); }
  void warn(Position at, std::string message) {
    warnings.push_back({ErrorCode::kInvalidInput, at, std::move(message)});
  }
};

// The instruction of a line. Its last_line and source are left to the caller. `follows`: there is an instruction
// before it, which a missing continuation may have cut off. Nothing, with at least one error, on failure.
std::optional<Instruction> read_instruction(const Piece& line, std::vector<Heredoc> heredocs, char escape, bool follows,
                                            Findings& findings);

// One reader for each group of instructions; they are given keywords of their group only.
std::optional<Command> read_from(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_copy_or_add(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_run(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_cmd_or_entrypoint(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_shell(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_health_check(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_env_or_label(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_arg(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_expose(const RawInstruction& raw, Findings& findings);
std::optional<Command> read_volume(const RawInstruction& raw, Findings& findings);
// USER, WORKDIR, STOPSIGNAL, MAINTAINER: everything behind the keyword is one argument.
std::optional<Command> read_single(const RawInstruction& raw, Findings& findings);

// The text behind the flags as a command line, shell form or JSON form; an error when it is empty. `piece` may be a
// part of the arguments (HEALTHCHECK CMD).
std::optional<CommandLine> read_command_line(const RawInstruction& raw, const Piece& piece, Findings& findings);

// True when the text has nothing that expansion would change, so that its value can be checked now.
bool is_literal(std::string_view text);

}  // namespace imagebuild::dockerfile
