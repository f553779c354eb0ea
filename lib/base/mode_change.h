// What chmod does to a file's mode: an octal number, or changes as in "u=rwX,go-w".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild {

// The grammar of chmod(1): an octal number up to 7777, or clauses with commas between them, each `[ugoa]*` and then any
// number of `[-+=][rwxXstugo]*`. As in BuildKit (its fork of dchapes/mode), no umask narrows a clause without [ugoa],
// and `X` works with every operator.
class ModeChange {
 public:
  // kInvalidInput for anything else.
  static Result<ModeChange> parse(std::string_view text);

  // The permission, set-id and sticky bits (07777) that become of `mode`.
  std::uint32_t apply(std::uint32_t mode, bool is_directory) const;

 private:
  struct Change {
    char operation = '+';                   // One of -+=
    std::uint32_t who = 0;                  // The bits that it may touch.
    std::uint32_t bits = 0;                 // For every class; `who` says which count.
    bool execute_if_any = false;            // X
    std::vector<std::uint32_t> like_shift;  // The classes whose bits are taken: how far their bits are shifted.
  };
  static Result<std::vector<Change>> parse_clause(std::string_view clause);
  static void apply(const Change& change, bool executable, std::uint32_t& mode);

  std::optional<std::uint32_t> absolute_;
  std::vector<Change> changes_;
};

}  // namespace imagebuild
