// The instructions of a text, one after the other, before they are sorted into stages.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "dockerfile/directives.h"
#include "dockerfile/instruction_reader.h"
#include "dockerfile/lines.h"
#include "dockerfile/parser.h"

namespace imagebuild::dockerfile {

// What is wrong with the text as a whole: too large, no UTF-8, NUL bytes. A byte order mark is not part of `text`.
std::optional<Diagnostic> check_text(std::string_view text);

// The text must outlive the reader and keep check_text().
class FileReader {
 public:
  FileReader(std::string_view text, Directives& directives, Findings& findings);

  struct Item {
    std::string keyword;                     // Upper case; also when the instruction is wrong.
    Position at;                             // Of the keyword.
    std::optional<Instruction> instruction;  // Nothing when it is wrong: findings say why.
  };
  // The next instruction; nothing at the end, or when reading on makes no sense.
  std::optional<Item> next();

 private:
  // Joins the lines of the next instruction; nothing at the end.
  std::optional<LogicalLine> next_line();
  void join_continuations(LogicalLine& line);
  bool take_continuation(std::string_view& text) const;
  // Reads the contents of the heredocs; false when one has no end.
  bool read_contents(std::vector<Heredoc>& heredocs);
  bool read_content(Heredoc& heredoc);
  // Passes over what probably are the heredocs of a misspelt RUN, so that their lines are not taken for instructions.
  void skip_contents(std::vector<Heredoc> heredocs);
  Position line_start(std::size_t index) const { return Position{static_cast<int>(index) + 1, 1}; }
  std::string_view source_between(std::size_t first, std::size_t end) const;

  Directives& directives_;
  Findings& findings_;
  DirectiveReader directive_reader_;
  std::vector<PhysicalLine> lines_;
  bool any_before_ = false;
  std::size_t next_ = 0;   // Index of the next physical line.
  std::size_t first_ = 0;  // Of the first line of the current instruction.
};

}  // namespace imagebuild::dockerfile
