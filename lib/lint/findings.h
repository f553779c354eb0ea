// Where checks put what they find, and which of it counts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/plan.h"
#include "api/warning.h"
#include "dockerfile/parser.h"

namespace imagebuild::lint {

// More than this no report needs; checks of hostile files stop there.
inline constexpr std::size_t kMaxFindings = 1000;

// Drops what the file does not want to know, as BuildKit does: rules that `# check=skip=…` names (or "all"), rules that
// are off by default unless `# check=experimental=…` names them (or "all"; skip then means nothing), and the same for a
// `# check=` comment directly above an instruction, which counts for that instruction. One collector serves the checks
// of the file, of the plan and of the image.
class Findings {
 public:
  // `checks`: what replaces the file's own directives. Refers to neither afterwards.
  Findings(const dockerfile::Dockerfile& file, const dockerfile::Directives& checks);
  explicit Findings(const dockerfile::Dockerfile& file) : Findings(file, file.directives) {}

  // Whether findings of this rule can count at all: a costly check asks before it begins.
  bool wants(std::string_view rule) const;
  // Whether there is no room for more.
  bool full() const { return warnings_.size() >= kMaxFindings; }

  // `rule` is a name of rules.h (a broken invariant otherwise). `at` with line 0: no place in the file. `message` is
  // one sentence for users that says what, why and what to do, without a final full stop.
  void add(std::string_view rule, dockerfile::Position at, std::string message);
  void add(std::string_view rule, api::SourceLine at, std::string message);

  // The names that `# check=skip=…` says, for the file and for single instructions.
  std::vector<api::SkippedRule> skipped() const;

  // Sorted by place, then rule, then message; each once. Those without a place come first.
  std::vector<api::Warning> sorted() const;

 private:
  struct Checks {
    std::vector<std::string> skipped;
    std::vector<std::string> experimental;
  };
  struct LocalChecks {  // Of the lines of one instruction.
    int first_line = 0;
    int last_line = 0;
    Checks checks;
  };
  static Checks checks_above(const std::vector<std::string_view>& lines, std::size_t top, int number);
  const LocalChecks* checks_at(int line) const;

  Checks checks_;
  std::vector<LocalChecks> local_;  // By line.
  std::vector<api::Warning> warnings_;
};

}  // namespace imagebuild::lint
