#include "dockerfile/lines.h"

#include <algorithm>

namespace imagebuild::dockerfile {

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::vector<PhysicalLine> split_lines(std::string_view text) {
  std::vector<PhysicalLine> lines;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const std::size_t size = newline == std::string_view::npos ? text.size() : newline + 1;
    PhysicalLine line{text.substr(0, size), text.substr(0, size)};
    while (!line.text.empty() && (line.text.back() == '\n' || line.text.back() == '\r')) line.text.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(size);
  }
  return lines;
}

void LogicalLine::append(std::string_view text, Position at) {
  segments_.push_back({text_.size(), at});
  text_ += text;
}

Position LogicalLine::at(std::size_t offset) const {
  if (segments_.empty()) return {};
  offset = std::min(offset, text_.size());
  auto next = std::upper_bound(segments_.begin(), segments_.end(), offset,
                               [](std::size_t value, const Segment& segment) { return value < segment.offset; });
  // Just behind the end belongs to the last segment that has a byte.
  if (offset == text_.size()) {
    while (next - segments_.begin() > 1 && (next - 1)->offset == offset) --next;
  }
  const Segment& segment = *(next - 1);
  return Position{segment.at.line, segment.at.column + static_cast<int>(offset - segment.offset)};
}

Piece Piece::part(std::size_t offset, std::size_t size) const {
  Piece result = *this;
  offset = std::min(offset, size_);
  result.begin_ += offset;
  result.size_ = std::min(size, size_ - offset);
  return result;
}

Piece Piece::trimmed() const {
  const std::string_view text = view();
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  while (end > begin && is_blank(text[end - 1])) --end;
  return part(begin, end - begin);
}

}  // namespace imagebuild::dockerfile
