#include "cli/failure_text.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "cli/step_label.h"
#include "cli/terminal_text.h"

namespace imagebuild::cli {

namespace {

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// The last line of the instruction that begins on line `first` (from 1): continuation lines belong to it.
std::size_t last_line_of(const std::vector<std::string_view>& lines, std::size_t first) {
  std::size_t last = first;
  while (last < lines.size()) {
    std::string_view line = lines[last - 1];
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    if (!line.ends_with('\\')) break;
    ++last;
  }
  return last;
}

std::string source_lines(const std::string& file, int line, std::string_view text) {
  constexpr std::size_t kContext = 2;
  constexpr int kNumberWidth = 4;
  const std::vector<std::string_view> lines = split_lines(text);
  const auto first = static_cast<std::size_t>(line);
  if (line < 1 || first > lines.size()) return "";
  const std::size_t last = last_line_of(lines, first);
  std::string result = file + ":" + std::to_string(line) + "\n--------------------\n";
  for (std::size_t i = first > kContext ? first - kContext : 1; i <= std::min(lines.size(), last + kContext); ++i) {
    const std::string number = std::to_string(i);
    result += std::string(kNumberWidth > static_cast<int>(number.size()) ? kNumberWidth - number.size() : 0, ' ') +
              number + " | " + (i >= first && i <= last ? ">>> " : "    ") + printable(lines[i - 1]) + "\n";
  }
  return result + "--------------------\n";
}

std::optional<int> stage_index(const api::Plan& plan, const std::string& name) {
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    if (plan.stages[i].name == name) return static_cast<int>(i);
  }
  return std::nullopt;
}

// What exit statuses of shells and kernels mean.
std::string hint_for(int exit_code) {
  switch (exit_code) {
    case 126:
      return "; the program is not executable: is its mode or its interpreter line right?";
    case 127:
      return "; the command was not found: does the base image have it?";
    case 137:
      return "; it was killed, probably because memory ran out";
    case 139:
      return "; it crashed (segmentation fault)";
    default:
      return "";
  }
}

}  // namespace

std::string failure_text(const api::Plan& plan, const api::Failure& failure, std::string_view dockerfile_text) {
  const std::optional<int> stage = stage_index(plan, failure.stage);
  std::string text = "------\n > ";
  if (stage && failure.step >= 0 &&
      failure.step < static_cast<int>(plan.stages[static_cast<std::size_t>(*stage)].steps.size())) {
    text += printable(step_label(plan, *stage, failure.step)) + ":\n";
  } else {
    text += "stage '" + failure.stage + "':\n";
  }
  for (const std::string& line : failure.log_tail) text += printable(line) + "\n";
  text += "------\n";
  return text + source_lines(plan.dockerfile, failure.at.line, dockerfile_text);
}

Error failure_error(const api::Plan& plan, const api::Failure& failure) {
  std::string where;
  if (failure.at.line > 0) where = api::place(plan, failure.at) + ": ";
  const std::optional<int> stage = stage_index(plan, failure.stage);
  where += "stage '" + (stage ? stage_title(plan, *stage) : failure.stage) + "': ";
  return Error{api::parse_error_code(failure.code), where + failure.message + hint_for(failure.exit_code)};
}

}  // namespace imagebuild::cli
