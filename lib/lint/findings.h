// Where checks put what they find, and which of it counts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/warning.h"
#include "dockerfile/parser.h"

namespace imagebuild::lint {

// Drops what the file does not want to know: rules that `# check=skip=…` names (or "all"), rules that are off by
// default and not named by `# check=experimental=…` (or "all"), and rules that a `# check=skip=…` comment directly
// above an instruction switches off for that instruction. One collector serves the checks of the file, of the plan and
// of the image.
class Findings {
 public:
  // Refers to nothing of `file` afterwards.
  explicit Findings(const dockerfile::Dockerfile& file);

  // Whether findings of this rule can count at all: a costly check asks before it begins.
  bool wants(std::string_view rule) const;
  // `rule` is a name of rules.h (a broken invariant otherwise). `at` with line 0: no place in the file. `message` is
  // one sentence for users that says what, why and what to do, without a final full stop.
  void add(std::string_view rule, dockerfile::Position at, std::string message);
  void add(std::string_view rule, api::SourceLine at, std::string message);

  // Sorted by place, then rule, then message; each once. Those without a place come first.
  std::vector<api::Warning> sorted() const;

 private:
  struct LocalSkip {  // Of the lines of one instruction.
    int first_line = 0;
    int last_line = 0;
    std::vector<std::string> rules;
  };
  bool skipped_at(std::string_view rule, int line) const;

  std::vector<std::string> skipped_;
  std::vector<std::string> experimental_;
  std::vector<LocalSkip> local_;
  std::vector<api::Warning> warnings_;
};

}  // namespace imagebuild::lint
