#include "dockerfile/location.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>

#include "base/nearest.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::size_t kShownBytes = 100;  // Of a source line, in render().
constexpr std::size_t kBytesBefore = 60;  // Of those, at most this many before the column.

std::optional<std::string_view> line_of(std::string_view source, int number) {
  std::size_t begin = 0;
  for (int line = 1; line < number; ++line) {
    const std::size_t newline = source.find('\n', begin);
    if (newline == std::string_view::npos) return std::nullopt;
    begin = newline + 1;
  }
  if (begin == source.size()) return std::nullopt;
  std::string_view text = source.substr(begin, source.find('\n', begin) - begin);
  while (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

bool is_continuation_byte(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// `text` without control characters; cut at character boundaries.
std::string printable(std::string_view text) {
  while (!text.empty() && is_continuation_byte(text.front())) text.remove_prefix(1);
  std::string result(text);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return result;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); }));
}

}  // namespace

Error located_error(std::string_view file, Position at, std::string_view message, ErrorCode code) {
  std::string text(file);
  if (at.line > 0) text += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  text += ": ";
  text += message;
  return Error{code, std::move(text)};
}

Error located_error(std::string_view file, const Diagnostic& diagnostic) {
  return located_error(file, diagnostic.at, diagnostic.message, diagnostic.code);
}

std::string render(std::string_view file, std::string_view source, const Diagnostic& diagnostic) {
  std::string result = located_error(file, diagnostic).message + "\n";
  if (diagnostic.at.line <= 0) return result;
  const auto found = line_of(source, diagnostic.at.line);
  if (!found) return result;
  const std::string_view line = *found;
  const std::size_t column = std::min(line.size(), static_cast<std::size_t>(std::max(diagnostic.at.column, 1)) - 1);
  const std::size_t begin = column > kBytesBefore ? column - kBytesBefore : 0;
  std::size_t end = std::min(line.size(), begin + kShownBytes);
  while (end < line.size() && is_continuation_byte(line[end])) ++end;
  const std::string before = (begin > 0 ? "…" : "") + printable(line.substr(begin, column - begin));
  const std::string after = std::string(line.substr(column, end - column)) + (end < line.size() ? "…" : "");
  const std::string number = std::to_string(diagnostic.at.line);
  result += "  " + number + " | " + before + printable(after) + "\n";
  result += "  " + std::string(number.size(), ' ') + " | " + std::string(characters(before), ' ') + "^\n";
  return result;
}

std::string render(std::string_view file, std::string_view source, const Error& error) {
  Diagnostic diagnostic{error.code, {0, 0}, {}};
  const std::string_view message = error.message;
  const char* const end = message.data() + message.size();
  if (message.size() <= file.size() || message.substr(0, file.size()) != file || message[file.size()] != ':') {
    return error.message + "\n";
  }
  const auto line = std::from_chars(message.data() + file.size() + 1, end, diagnostic.at.line);
  if (line.ec != std::errc() || line.ptr == end || *line.ptr != ':') return error.message + "\n";
  const auto column = std::from_chars(line.ptr + 1, end, diagnostic.at.column);
  if (column.ec != std::errc() || end - column.ptr < 2 || *column.ptr != ':') return error.message + "\n";
  diagnostic.message = std::string(column.ptr + 2, end);
  return render(file, source, diagnostic);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates, std::string_view before,
                         std::string_view after) {
  const auto candidate = nearest(word, candidates);
  if (!candidate) return {};
  return "; did you mean " + std::string(before) + *candidate + std::string(after) + "?";
}

}  // namespace imagebuild::dockerfile
