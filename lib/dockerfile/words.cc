#include "dockerfile/words.h"

#include <string_view>

namespace imagebuild::dockerfile {

namespace {

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

std::size_t skip_word(std::string_view text, std::size_t at) {
  while (at < text.size() && !is_blank(text[at])) ++at;
  return at;
}

// Collects a flag's text without its quotes, and where each byte came from.
struct FlagText {
  std::string text;
  std::vector<std::size_t> offsets;
  void add(std::string_view source, std::size_t at) {
    text += source[at];
    offsets.push_back(at);
  }
};

// Reads the word at `at`, with quotes and backslashes as BuildKit takes them in flags (always the backslash, whatever
// the escape directive says, and also between single quotes). Returns the offset behind it.
std::size_t read_flag(std::string_view text, std::size_t at, FlagText& flag) {
  char quote = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == 0 && is_blank(c)) break;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (c == '\\') {
      if (at + 1 < text.size()) flag.add(text, ++at);
    } else {
      flag.add(text, at);
    }
  }
  return at;
}

Flag make_flag(const Piece& rest, const FlagText& text, std::size_t begin, std::size_t end) {
  Flag flag;
  flag.at = rest.at(begin);
  const std::size_t equals = text.text.find('=');
  flag.name = text.text.substr(2, equals == std::string::npos ? equals : equals - 2);
  if (equals == std::string::npos) return flag;
  flag.has_value = true;
  flag.value = text.text.substr(equals + 1);
  for (std::size_t i = equals + 1; i < text.offsets.size(); ++i) flag.value_at.push_back(rest.at(text.offsets[i]));
  flag.value_at.push_back(rest.at(end));
  return flag;
}

}  // namespace

std::vector<Word> split_at_blanks(const Piece& piece) {
  std::vector<Word> words;
  const std::string_view text = piece.view();
  for (std::size_t at = skip_blanks(text, 0); at < text.size();) {
    const std::size_t end = skip_word(text, at);
    words.push_back(piece.part(at, end - at).word());
    at = skip_blanks(text, end);
  }
  return words;
}

std::vector<Word> split_words(const Piece& piece, char escape) {
  std::vector<Word> words;
  const std::string_view text = piece.view();
  for (std::size_t at = skip_blanks(text, 0); at < text.size(); at = skip_blanks(text, at)) {
    Word word{{}, piece.at(at)};
    char quote = 0;
    for (; at < text.size() && (quote != 0 || !is_blank(text[at])); ++at) {
      const char c = text[at];
      if (quote == 0 && (c == '\'' || c == '"')) {
        quote = c;
      } else if (quote != 0 && c == quote) {
        quote = 0;
      } else if (c == escape && quote != '\'') {
        if (at + 1 == text.size()) continue;  // Nothing follows that it could escape: it goes.
        word.text += c;
        ++at;
      }
      word.text += text[at];
    }
    if (!word.text.empty()) words.push_back(std::move(word));
  }
  return words;
}

SplitLine split_line(const Piece& whole) {
  const Piece line = whole.trimmed();
  const std::size_t keyword_end = skip_word(line.view(), 0);
  const Piece rest = line.from(keyword_end).trimmed();
  SplitLine result{line.part(0, keyword_end), {}, rest, rest};
  const std::string_view text = rest.view();
  std::size_t at = 0;
  while (text.substr(at, 2) == "--") {
    FlagText flag;
    const std::size_t end = read_flag(text, at, flag);
    const std::size_t begin = at;
    at = skip_blanks(text, end);
    if (flag.text == "--") break;  // The end of the flags.
    if (flag.text.size() > 2) result.flags.push_back(make_flag(rest, flag, begin, end));
  }
  result.arguments = rest.from(at);
  return result;
}

}  // namespace imagebuild::dockerfile
