// Why a RUN's program could not be started, in words that say what to do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "builder/stage/run_child.h"

namespace imagebuild::builder {

struct ExecFailure {
  int exit_status = 127;  // As shells count: 127 there is no such program, 126 it cannot be run.
  Error error;
};

// `script` is the content of a script from the Dockerfile, when that was the program.
ExecFailure explain(const RunChild& child, const RunChildFailure& failure, const std::optional<std::string>& script);

// Parts of it, for tests. `head` is the beginning of a program's file.
std::optional<std::string> script_interpreter(std::string_view head);  // "#! /bin/sh -e" → "/bin/sh"
std::optional<std::string> elf_loader(std::string_view head);          // PT_INTERP, if it lies in `head`.
std::optional<std::string> elf_architecture(std::string_view head);    // As platforms name it: "arm64".

}  // namespace imagebuild::builder
