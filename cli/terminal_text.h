// Output of user commands, made safe to show: it must not move the cursor, change the title or hide text.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace imagebuild::cli {

// One line (no '\n') without control characters and escape sequences; tabs become spaces, bytes that are not UTF-8
// become U+FFFD, characters that reorder text are dropped. With `keep_colours` SGR sequences (ECMA-48 8.3.117) stay,
// and a reset is appended if there was one.
std::string printable(std::string_view line, bool keep_colours = false);

// How many terminal columns printable text takes.
std::size_t columns(std::string_view text);
// The beginning of printable text that fits in `width` columns, with "…" at its end if something was cut.
std::string fitted(std::string_view text, std::size_t width);

// Cuts a stream of output into lines. "\r\n" ends a line; a lone '\r' starts the line anew, so that of a progress bar
// only its last state is kept.
class LineAssembler {
 public:
  static constexpr std::size_t kMaxLineBytes = 16 * 1024;  // A longer line is given in several.

  void add(std::string_view piece, const std::function<void(std::string_view line)>& on_line);
  // What stands after the last complete line.
  const std::string& partial() const { return line_; }
  // Gives the last line if it has no end.
  void end(const std::function<void(std::string_view line)>& on_line);

 private:
  std::string line_;
  bool after_return_ = false;
};

}  // namespace imagebuild::cli
