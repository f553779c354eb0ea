// From the text of a Dockerfile to typed instructions.
//
// The rules are those of BuildKit's stable front end. Stricter, because nothing may be ignored silently: flags of an
// instruction that has none (STOPSIGNAL --x, HEALTHCHECK --interval=… NONE), empty flag values (--from=), RUN, CMD and
// ENTRYPOINT without a command, mount options that the mount's type does not have, an ONBUILD that does not parse, and
// text that is not UTF-8 are errors. More lenient: the options of a mount may come in any order, and RUN --mount from=
// takes a stage's index as COPY --from does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dockerfile/instruction.h"

namespace imagebuild::dockerfile {

// Bounds that a Dockerfile has to keep (kLimit otherwise).
inline constexpr std::size_t kMaxFileBytes = 4u << 20;
inline constexpr std::size_t kMaxLineBytes = 1u << 20;
inline constexpr std::size_t kMaxLines = 100'000;
inline constexpr std::size_t kMaxInstructions = 10'000;
inline constexpr std::size_t kMaxStages = 1'000;

// The parser directives at the top of the file.
struct Directives {
  char escape = '\\';
  std::optional<Word> syntax;                    // The whole value: an image reference, maybe with arguments behind it.
  std::vector<std::string> skipped_checks;       // check=skip=A,B (or "all").
  std::vector<std::string> experimental_checks;  // check=experimental=A,B (or "all").
  bool checks_are_errors = false;                // check=…;error=true
};

struct Stage {
  int index = 0;            // Counts from 0.
  std::string name;         // AS name in lower case; empty when there is none.
  Instruction instruction;  // The FROM itself.
  std::vector<Instruction> steps;

  const From& from() const { return std::get<From>(instruction.command); }
};

struct Dockerfile {
  std::string file;    // The name for messages.
  std::string source;  // The whole text.
  Directives directives;
  std::vector<Instruction> global_args;  // The ARGs before the first FROM.
  std::vector<Stage> stages;             // Never empty after a successful parse().
  // The first empty line inside each instruction that has one. Such lines are skipped, as BuildKit does still.
  std::vector<Position> empty_continuations;
};

struct ParseReport {
  Dockerfile dockerfile;           // Complete only if there are no errors.
  std::vector<Diagnostic> errors;  // By position.
  std::vector<Diagnostic> warnings;
};

// Everything that is wrong with the text, not only the first thing. `file` is the name for messages.
ParseReport parse_all(std::string_view text, std::string_view file = "Dockerfile");

// The Dockerfile, or its first error.
Result<Dockerfile> parse(std::string_view text, std::string_view file = "Dockerfile");

// One instruction as a base image's OnBuild list stores it (escape character `\`). `origin` names it in errors, for
// example "ONBUILD of node:18". FROM, ONBUILD and MAINTAINER, or more than one instruction, are errors.
Result<Instruction> parse_trigger(std::string_view text, std::string_view origin);

}  // namespace imagebuild::dockerfile
