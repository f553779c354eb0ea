// What a RUN executes, as far as its text tells: the simple commands of a shell script, without running a shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/instruction.h"

namespace imagebuild::lint {

// Words without their quotes; variables and substitutions stand as written. Never empty. Variables set for the command
// and words that only start another one (sudo, env, then) are left out.
using ShellCommand = std::vector<std::string>;

// The commands of a script in their order: what `&&`, `||`, `;`, `|`, line ends and parentheses separate.
std::vector<ShellCommand> commands_of(std::string_view script);

// Those of a RUN; of its exec form the one command, or those of the script that it gives a shell.
std::vector<ShellCommand> commands_of(const dockerfile::CommandLine& command);

// The name of what the command runs, without its folder: "apt-get".
std::string program_of(const ShellCommand& command);

// The words behind the program that are no options.
std::vector<std::string> operands_of(const ShellCommand& command);

bool has_word(const ShellCommand& command, std::string_view word);

}  // namespace imagebuild::lint
