#include "tests/unit/cli/screen.h"

#include <algorithm>
#include <cstdlib>

namespace imagebuild::cli {

std::string Screen::join(std::size_t first) const {
  std::string text;
  for (std::size_t i = first; i < lines_.size(); ++i) {
    std::string line;
    for (const std::string& cell : lines_[i]) line += cell;
    while (line.ends_with(' ')) line.pop_back();
    if (i + 1 < lines_.size() || !line.empty()) text += line + "\n";
  }
  return text;
}

void Screen::next_row() {
  ++row_;
  if (row_ == lines_.size()) lines_.emplace_back();
  if (row_ >= top_ + height_) top_ = row_ - height_ + 1;
}

void Screen::put(std::string cell) {
  if (column_ == width_) {
    next_row();
    column_ = 0;
  }
  Line& line = lines_[row_];
  if (line.size() <= column_) line.resize(column_ + 1, " ");
  line[column_++] = std::move(cell);
}

std::size_t Screen::escape(std::string_view text, std::size_t at) {
  std::size_t end = at + 2;
  while (end < text.size() && (text[end] < '@' || text[end] > '~')) ++end;
  const std::string arguments(text.substr(at + 2, end - at - 2));
  const std::size_t number = arguments.empty() ? 1 : static_cast<std::size_t>(std::atoi(arguments.c_str()));
  switch (text[end]) {
    case 'A':
      row_ = std::max(top_, row_ - std::min(row_, number));
      break;
    case 'K':
      if (lines_[row_].size() > column_) lines_[row_].resize(column_);
      break;
    case 'J':
      if (lines_[row_].size() > column_) lines_[row_].resize(column_);
      lines_.resize(row_ + 1);
      break;
    case 'h':
    case 'l':
      cursor_is_visible_ = text[end] == 'h';
      break;
    default:
      break;
  }
  return end + 1;
}

void Screen::write(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\x1b') {
      at = escape(text, at);
      continue;
    }
    if (text[at] == '\n') {
      next_row();
      column_ = 0;
      ++at;
      continue;
    }
    if (text[at] == '\r') {
      column_ = 0;
      ++at;
      continue;
    }
    std::size_t width = 1;
    while (at + width < text.size() && (static_cast<unsigned char>(text[at + width]) & 0xc0) == 0x80) ++width;
    put(std::string(text.substr(at, width)));
    at += width;
  }
}

void Screen::resize(std::size_t width) {
  std::vector<Line> wrapped;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    Line line = lines_[i];
    do {
      const std::size_t count = std::min(width, line.size());
      wrapped.emplace_back(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(count));
      line.erase(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(count));
    } while (!line.empty());
    if (i == row_) row_ = wrapped.size() - 1;
  }
  lines_ = std::move(wrapped);
  width_ = width;
}

}  // namespace imagebuild::cli
