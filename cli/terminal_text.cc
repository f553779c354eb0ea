#include "cli/terminal_text.h"

#include "base/utf8.h"

namespace imagebuild::cli {

namespace {

constexpr char kEscape = '\x1b';

bool is_between(char c, unsigned char low, unsigned char high) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= low && byte <= high;
}

// The end of the escape sequence that begins at text[at] (ECMA-48; OSC and its relatives as xterm ends them).
std::size_t end_of_escape(std::string_view text, std::size_t at) {
  std::size_t i = at + 1;
  if (i >= text.size()) return i;
  if (text[i] == '[') {
    for (++i; i < text.size() && is_between(text[i], 0x20, 0x3f); ++i) {
    }
    return i < text.size() && is_between(text[i], 0x40, 0x7e) ? i + 1 : i;
  }
  if (text[i] == ']' || text[i] == 'P' || text[i] == '_' || text[i] == '^' || text[i] == 'X') {
    for (++i; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == kEscape) return i + 1 < text.size() && text[i + 1] == '\\' ? i + 2 : i;
    }
    return i;
  }
  for (; i < text.size() && is_between(text[i], 0x20, 0x2f); ++i) {
  }
  return i < text.size() ? i + 1 : i;
}

bool is_colour(std::string_view sequence) {
  return sequence.size() >= 3 && sequence[1] == '[' && sequence.back() == 'm' &&
         sequence.find_first_not_of("0123456789;:", 2) == sequence.size() - 1;
}

bool is_hidden(char32_t rune) {
  return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || (rune >= 0x202a && rune <= 0x202e) ||
         (rune >= 0x2066 && rune <= 0x2069) || rune == 0x200e || rune == 0x200f || rune == 0x2028 || rune == 0x2029;
}

// Terminals give two columns to East Asian and picture characters, none to combining ones (Unicode TR 11).
std::size_t rune_columns(char32_t rune) {
  if ((rune >= 0x300 && rune <= 0x36f) || (rune >= 0x200b && rune <= 0x200d) || (rune >= 0xfe00 && rune <= 0xfe0f)) {
    return 0;
  }
  const bool wide = (rune >= 0x1100 && rune <= 0x115f) || (rune >= 0x2e80 && rune <= 0xa4cf) ||
                    (rune >= 0xac00 && rune <= 0xd7a3) || (rune >= 0xf900 && rune <= 0xfaff) ||
                    (rune >= 0xfe30 && rune <= 0xfe6f) || (rune >= 0xff00 && rune <= 0xff60) ||
                    (rune >= 0xffe0 && rune <= 0xffe6) || (rune >= 0x1f300 && rune <= 0x1faff) ||
                    (rune >= 0x20000 && rune <= 0x3fffd);
  return wide ? 2 : 1;
}

}  // namespace

std::string printable(std::string_view line, bool keep_colours) {
  constexpr std::size_t kTabStop = 8;
  std::string result;
  std::size_t column = 0;
  bool coloured = false;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == kEscape) {
      const std::size_t end = end_of_escape(line, at);
      const std::string_view sequence = line.substr(at, end - at);
      if (keep_colours && is_colour(sequence)) {
        result += sequence;
        coloured = true;
      }
      at = end;
      continue;
    }
    const Rune rune = decode_rune(line, at);
    if (line[at] == '\t') {
      const std::size_t spaces = kTabStop - column % kTabStop;
      result.append(spaces, ' ');
      column += spaces;
    } else if (!rune.valid) {
      result += "\xef\xbf\xbd";
      ++column;
    } else if (!is_hidden(rune.value)) {
      result += line.substr(at, rune.width);
      column += rune_columns(rune.value);
    }
    at += rune.width;
  }
  if (coloured) result += "\x1b[0m";
  return result;
}

std::size_t columns(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text, at);
    width += rune_columns(rune.value);
    at += rune.width;
  }
  return width;
}

std::string fitted(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t used = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const Rune rune = decode_rune(text, at);
    if (used + rune_columns(rune.value) > width - 1) break;
    used += rune_columns(rune.value);
    at += rune.width;
  }
  return std::string(text.substr(0, at)) + "…";
}

void LineAssembler::add(std::string_view piece, const std::function<void(std::string_view line)>& on_line) {
  for (const char c : piece) {
    if (c == '\n') {
      after_return_ = false;
      on_line(line_);
      line_.clear();
      continue;
    }
    if (after_return_) line_.clear();
    after_return_ = c == '\r';
    if (after_return_) continue;
    line_ += c;
    if (line_.size() >= kMaxLineBytes) {
      on_line(line_);
      line_.clear();
    }
  }
}

void LineAssembler::end(const std::function<void(std::string_view line)>& on_line) {
  if (!line_.empty()) on_line(line_);
  line_.clear();
  after_return_ = false;
}

}  // namespace imagebuild::cli
