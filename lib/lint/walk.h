// The instructions of a file in the order and with the variables of a build, without running or resolving anything.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "dockerfile/scope.h"
#include "lint/lint.h"

namespace imagebuild::lint {

// One instruction at its turn. A stage on a stage begins with the ONBUILD triggers of that stage.
struct Turn {
  const LintInput& input;
  const dockerfile::GlobalScope& globals;
  const dockerfile::Stage& stage;  // Which is built.
  const dockerfile::Instruction& instruction;
  char escape;                          // Of the instruction's text.
  const dockerfile::StageScope& scope;  // Before the instruction.
  bool base_known;                      // All variables of the base image are in `scope`.
  bool workdir_set;                     // A WORKDIR of this file came before, also in a stage below.
  bool shell_set;                       // SHELL came before, also in the base image.
  // Of this stage alone: where the last instruction of that keyword stands, for CMD, ENTRYPOINT and HEALTHCHECK.
  const std::map<std::string, dockerfile::Position, std::less<>>& last;
};

// A stage that starts from an image whose configuration is known.
struct BaseTurn {
  const dockerfile::Stage& stage;
  const std::string& image;
  const oci::Platform& wanted;
  const BaseFacts& facts;
};

// Visits the bases and the instructions of the stages that LintInput::target asks for.
void walk(const LintInput& input, const std::function<void(const BaseTurn&)>& visit_base,
          const std::function<void(const Turn&)>& visit);

// The global scope at the first FROM; with the build arguments, or as if none were given.
dockerfile::GlobalScope globals_of(const LintInput& input, bool with_build_args);

// "; did you mean '$NAME'?" for the nearest of the first 1000 names.
std::string did_you_mean_variable(std::string_view name, std::vector<std::string> names);

// Where a variable of `word` stands: its `$`, if that can be found in the file; else the word.
dockerfile::Position place_of_variable(const dockerfile::Dockerfile& file, const dockerfile::Word& word,
                                       std::string_view name);

}  // namespace imagebuild::lint
