// The lines of a Dockerfile: physical ones as they stand in the file, and logical ones, which are several physical
// lines joined by continuations and still know where each byte came from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/location.h"

namespace imagebuild::dockerfile {

// The blanks of Go's unicode.IsSpace below 128.
bool is_blank(char c);
std::string_view trim_blanks(std::string_view text);
std::string upper(std::string_view text);
std::string lower(std::string_view text);

struct PhysicalLine {
  std::string_view full;  // With its line ending, if it has one.
  std::string_view text;  // Without it: all CR and LF at the end are gone.
};
std::vector<PhysicalLine> split_lines(std::string_view text);

class LogicalLine {
 public:
  // Adds a piece of one physical line that begins at `at`.
  void append(std::string_view text, Position at);
  const std::string& text() const { return text_; }
  // Of byte `offset`; an offset at or behind the end is just behind the last byte.
  Position at(std::size_t offset) const;

 private:
  struct Segment {
    std::size_t offset;
    Position at;
  };
  std::string text_;
  std::vector<Segment> segments_;
};

// A part of a logical line. Valid while the line lives and is not appended to.
class Piece {
 public:
  explicit Piece(const LogicalLine& line) : line_(&line), size_(line.text().size()) {}
  std::string_view view() const { return std::string_view(line_->text()).substr(begin_, size_); }
  Position at(std::size_t offset = 0) const { return line_->at(begin_ + offset); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Piece from(std::size_t offset) const { return part(offset, size_); }
  Piece part(std::size_t offset, std::size_t size) const;
  Piece trimmed() const;
  Word word() const { return Word{std::string(view()), at()}; }

 private:
  const LogicalLine* line_;
  std::size_t begin_ = 0;
  std::size_t size_;
};

}  // namespace imagebuild::dockerfile
