#include "dockerfile/heredoc.h"

#include <cstddef>
#include <string>

namespace imagebuild::dockerfile {

namespace {

constexpr std::size_t kFdDigits = 9;

// The end of the word that begins at `at`, or nothing when a quote or a brace in it is not closed.
std::optional<std::size_t> word_end(std::string_view text, std::size_t at) {
  char quote = 0;
  std::size_t braces = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == '\'') {
      if (c == quote) quote = 0;
    } else if (c == '\\') {
      ++at;
    } else if (quote == 0 && braces == 0 && is_blank(c)) {
      return at;
    } else if (c == '$' && at + 1 < text.size() && text[at + 1] == '{') {
      ++braces;
      ++at;
    } else if (c == '}' && braces > 0) {
      --braces;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    }
  }
  if (quote != 0 || braces != 0) return std::nullopt;
  return text.size();
}

}  // namespace

std::optional<Heredoc> parse_heredoc_word(std::string_view word) {
  Heredoc heredoc;
  std::size_t at = 0;
  while (at < word.size() && word[at] >= '0' && word[at] <= '9') {
    if (at >= kFdDigits) return std::nullopt;
    heredoc.fd = heredoc.fd * 10 + static_cast<unsigned>(word[at++] - '0');
  }
  if (word.substr(at, 2) != "<<") return std::nullopt;
  at += 2;
  if (at < word.size() && word[at] == '-') {
    heredoc.strip_tabs = true;
    ++at;
  }
  const std::string_view name = word.substr(at);
  if (name.find('<') != std::string_view::npos) return std::nullopt;
  char quote = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      heredoc.expand = false;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && is_blank(c)) {
      return std::nullopt;
    } else if (c == '\\' && quote != '\'' && i + 1 < name.size()) {
      heredoc.name += name[++i];
    } else {
      heredoc.name += c;
    }
  }
  if (quote != 0 || heredoc.name.empty()) return std::nullopt;
  return heredoc;
}

std::vector<Heredoc> find_heredocs(const Piece& line) {
  std::vector<Heredoc> heredocs;
  const std::string_view text = line.view();
  if (text.find("<<") == std::string_view::npos) return heredocs;
  for (std::size_t at = 0; at < text.size();) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const auto end = word_end(text, at);
    if (!end) return {};
    if (auto heredoc = parse_heredoc_word(text.substr(at, *end - at))) {
      heredoc->at = line.at(at);
      heredocs.push_back(std::move(*heredoc));
    }
    at = *end;
  }
  return heredocs;
}

}  // namespace imagebuild::dockerfile
