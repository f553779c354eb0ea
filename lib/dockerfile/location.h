// Where something stands in a Dockerfile, and errors that say so.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace imagebuild::dockerfile {

// Both count from 1; the column counts bytes, not characters. Line 0 means the file as a whole.
struct Position {
  int line = 1;
  int column = 1;
  auto operator<=>(const Position&) const = default;
};

// A piece of an instruction as it was written: variables, escapes and (unless its owner says otherwise) quotes are
// still in it; expand.h resolves them. Line continuations and the comments between them are already gone.
struct Word {
  std::string text;
  Position at;  // Of its first byte in the file.
  bool operator==(const Word&) const = default;
};

// Reading a file stops after that many errors.
inline constexpr std::size_t kMaxErrors = 100;

// One thing that is wrong or doubtful. `message` may end in a hint ("…; did you mean RUN?").
struct Diagnostic {
  ErrorCode code = ErrorCode::kInvalidInput;
  Position at;
  std::string message;
};

// "Dockerfile:3:1: message": the one form of every error about a Dockerfile. `file` is shown as the user gave it;
// at line 0 only the file is named ("Dockerfile: message").
Error located_error(std::string_view file, Position at, std::string_view message,
                    ErrorCode code = ErrorCode::kInvalidInput);
Error located_error(std::string_view file, const Diagnostic& diagnostic);

// The error with the line it speaks of and a caret below the column, for a terminal; ends in a newline:
//   Dockerfile:3:1: unknown instruction 'RUNN'; did you mean RUN?
//     3 | RUNN make
//       | ^
// `source` is the text of the file; where it has no such line, only the message is shown. Long lines are cut around the
// column; control characters become blanks.
std::string render(std::string_view file, std::string_view source, const Diagnostic& diagnostic);

// The same for an Error that a function of this room returned: its position is read from its message. An error about
// another file, or about no line, is shown without source.
std::string render(std::string_view file, std::string_view source, const Error& error);

// "; did you mean 'x'?" for the candidate nearest to `word`, or nothing. `before` and `after` go around the candidate.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates,
                         std::string_view before = "'", std::string_view after = "'");

}  // namespace imagebuild::dockerfile
