#include "dockerfile/file_reader.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/json_array.h"

namespace imagebuild::dockerfile {

namespace {

Position position_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? offset : offset - newline - 1;
  return Position{static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1, static_cast<int>(column) + 1};
}

bool may_hold_heredoc(std::string_view keyword) {
  return keyword == "RUN" || keyword == "COPY" || keyword == "ADD";
}

// Whether an instruction of this line reads heredocs: RUN, COPY and ADD in shell form, also inside ONBUILD.
bool reads_heredocs(const Piece& line) {
  SplitLine split = split_line(line);
  if (upper(split.keyword.view()) == "ONBUILD") split = split_line(split.arguments);
  return may_hold_heredoc(upper(split.keyword.view())) &&
         parse_json_array(split.arguments).kind == JsonArray::Kind::kNotJson;
}

bool is_comment(std::string_view text) {
  const std::string_view trimmed = trim_blanks(text);
  return !trimmed.empty() && trimmed.front() == '#';
}

}  // namespace

std::optional<Diagnostic> check_text(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return Diagnostic{ErrorCode::kLimit, {0, 0}, "the file is larger than 4 MiB, which no Dockerfile may be"};
  }
  if (text.substr(0, 2) == "\xFF\xFE" || text.substr(0, 2) == "\xFE\xFF") {
    return Diagnostic{ErrorCode::kInvalidInput, {0, 0}, "the file is UTF-16 text; save it as UTF-8"};
  }
  std::size_t lines = 0;
  std::size_t line_begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\0') return Diagnostic{ErrorCode::kInvalidInput, position_of(text, at), "a NUL byte"};
    const Rune rune = decode_rune(text, at);
    if (!rune.valid) {
      return Diagnostic{ErrorCode::kInvalidInput, position_of(text, at),
                        "this is not UTF-8 text; save the file as UTF-8"};
    }
    if (text[at] == '\n') {
      ++lines;
      line_begin = at + 1;
    }
    if (at - std::min(at, line_begin) > kMaxLineBytes) {
      return Diagnostic{ErrorCode::kLimit, position_of(text, line_begin), "the line is longer than 1 MiB"};
    }
    at += rune.width;
  }
  if (lines > kMaxLines) {
    return Diagnostic{ErrorCode::kLimit, {0, 0}, "the file has more than " + std::to_string(kMaxLines) + " lines"};
  }
  return std::nullopt;
}

FileReader::FileReader(std::string_view text, Directives& directives, Findings& findings)
    : directives_(directives),
      findings_(findings),
      directive_reader_(directives, findings.errors, findings.warnings),
      lines_(split_lines(text)) {}

std::string_view FileReader::source_between(std::size_t first, std::size_t end) const {
  const char* begin = lines_[first].full.data();
  const std::string_view last = lines_[end - 1].text;
  return std::string_view(begin, static_cast<std::size_t>(last.data() + last.size() - begin));
}

// Removes a continuation at the end: the escape character, then blanks only, and no other escape before it.
bool FileReader::take_continuation(std::string_view& text) const {
  const std::size_t last = text.find_last_not_of(" \t");
  if (last == std::string_view::npos || text[last] != directives_.escape) return false;
  if (last > 0 && text[last - 1] == directives_.escape) return false;
  text = text.substr(0, last);
  return true;
}

std::optional<LogicalLine> FileReader::next_line() {
  while (next_ < lines_.size()) {
    first_ = next_++;
    std::string_view text = lines_[first_].text;
    directive_reader_.read(text, line_start(first_));
    std::size_t indent = 0;
    while (indent < text.size() && is_blank(text[indent])) ++indent;
    text.remove_prefix(indent);
    if (text.empty() || text.front() == '#') continue;
    LogicalLine line;
    const bool continued = take_continuation(text);
    line.append(text, Position{line_start(first_).line, static_cast<int>(indent) + 1});
    if (continued) join_continuations(line);
    return line;
  }
  return std::nullopt;
}

void FileReader::join_continuations(LogicalLine& line) {
  bool continued = true;
  bool noted = false;
  while (continued && next_ < lines_.size()) {
    const std::size_t index = next_++;
    std::string_view text = lines_[index].text;
    if (is_comment(text)) continue;
    if (trim_blanks(text).empty()) {
      if (!noted) findings_.empty_continuations.push_back(line_start(index));
      noted = true;
      continue;
    }
    continued = take_continuation(text);
    line.append(text, line_start(index));
  }
}

bool FileReader::read_content(Heredoc& heredoc) {
  heredoc.content_at = line_start(next_);
  for (; next_ < lines_.size(); ++next_) {
    std::string_view text = lines_[next_].text;
    while (heredoc.strip_tabs && !text.empty() && text.front() == '\t') text.remove_prefix(1);
    if (text == heredoc.name) {
      ++next_;
      return true;
    }
    heredoc.content += lines_[next_].full;
  }
  return false;
}

bool FileReader::read_contents(std::vector<Heredoc>& heredocs) {
  for (Heredoc& heredoc : heredocs) {
    if (read_content(heredoc)) continue;
    findings_.error(heredoc.at, "the heredoc has no end: no line is just '" + heredoc.name + "'");
    return false;
  }
  return true;
}

void FileReader::skip_contents(std::vector<Heredoc> heredocs) {
  const std::size_t back = next_;
  for (Heredoc& heredoc : heredocs) {
    if (read_content(heredoc)) continue;
    next_ = back;
    return;
  }
}

std::optional<FileReader::Item> FileReader::next() {
  const auto line = next_line();
  if (!line) return std::nullopt;
  const Piece piece(*line);
  Item item;
  const Piece keyword = split_line(piece).keyword;
  item.keyword = upper(keyword.view());
  item.at = keyword.at();
  if (item.keyword.empty()) {
    findings_.error(line_start(first_), "a line continuation without an instruction");
    return item;
  }
  std::vector<Heredoc> heredocs = find_heredocs(piece);
  const auto& names = instruction_names();
  if (!heredocs.empty() && reads_heredocs(piece)) {
    if (!read_contents(heredocs)) return std::nullopt;
  } else {
    if (std::find(names.begin(), names.end(), item.keyword) == names.end()) skip_contents(std::move(heredocs));
    heredocs.clear();
  }
  item.instruction = read_instruction(piece, std::move(heredocs), directives_.escape, any_before_, findings_);
  any_before_ = true;
  if (item.instruction) {
    item.instruction->last_line = static_cast<int>(next_);
    item.instruction->source = source_between(first_, next_);
    if (auto* onbuild = std::get_if<Onbuild>(&item.instruction->command)) {
      Instruction trigger = *onbuild->trigger;
      trigger.last_line = item.instruction->last_line;
      trigger.source = item.instruction->source;
      onbuild->trigger = std::make_shared<const Instruction>(std::move(trigger));
    }
  }
  return item;
}

}  // namespace imagebuild::dockerfile
