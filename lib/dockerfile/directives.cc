#include "dockerfile/directives.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "dockerfile/booleans.h"

namespace imagebuild::dockerfile {

namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name(char c) {
  return is_letter(c) || (c >= '0' && c <= '9');
}

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    const std::string_view part = trim_blanks(text.substr(0, end));
    if (!part.empty()) parts.push_back(part);
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

void DirectiveReader::read(std::string_view line, Position at) {
  if (done_) return;
  // BuildKit looks for syntax and check behind a "#!" line, but its reader of escape does not.
  if (at.line == 1 && line.substr(0, 2) == "#!") {
    shebang_ = true;
    return;
  }
  done_ = true;
  const std::size_t hash = skip_blanks(line, 0);
  if (hash == line.size() || line[hash] != '#') return;
  const std::size_t name = skip_blanks(line, hash + 1);
  std::size_t name_end = name;
  while (name_end < line.size() && is_name(line[name_end])) ++name_end;
  if (name_end == name || !is_letter(line[name])) return;
  const std::size_t equals = skip_blanks(line, name_end);
  if (equals == line.size() || line[equals] != '=') return;
  const std::size_t value = skip_blanks(line, equals + 1);
  if (value == line.size()) return;
  const std::string key = lower(line.substr(name, name_end - name));
  if (key != "escape" && key != "syntax" && key != "check") return;
  done_ = false;
  const auto position = [&at](std::size_t offset) { return Position{at.line, at.column + static_cast<int>(offset)}; };
  set(key, Word{std::string(trim_blanks(line.substr(value))), position(value)}, position(name));
}

void DirectiveReader::set(std::string_view name, const Word& value, Position at) {
  if (std::find(seen_.begin(), seen_.end(), name) != seen_.end()) {
    errors_.push_back({ErrorCode::kInvalidInput, at, "only one '# " + std::string(name) + "=' directive is allowed"});
    return;
  }
  seen_.emplace_back(name);
  if (name == "escape") set_escape(value);
  if (name == "syntax") directives_.syntax = value;
  if (name == "check") set_checks(value);
}

void DirectiveReader::set_escape(const Word& value) {
  if (value.text != "`" && value.text != "\\") {
    errors_.push_back(
        {ErrorCode::kInvalidInput, value.at, "the escape character has to be ` or \\, not '" + value.text + "'"});
  } else if (shebang_) {
    warnings_.push_back({ErrorCode::kInvalidInput, value.at, "'# escape=' has no effect behind a '#!' line"});
  } else {
    directives_.escape = value.text[0];
  }
}

void DirectiveReader::set_checks(const Word& value) {
  for (const std::string_view option : split(value.text, ';')) {
    const std::size_t equals = option.find('=');
    const std::string_view key = trim_blanks(option.substr(0, equals));
    const std::string_view rest = equals == std::string_view::npos ? "" : trim_blanks(option.substr(equals + 1));
    const Position at{value.at.line, value.at.column + static_cast<int>(option.data() - value.text.data())};
    if (equals != std::string_view::npos && (key == "skip" || key == "experimental")) {
      auto& rules = key == "skip" ? directives_.skipped_checks : directives_.experimental_checks;
      for (const std::string_view rule : split(rest, ',')) rules.emplace_back(rule);
    } else if (const auto yes = parse_boolean(rest); key == "error" && yes) {
      directives_.checks_are_errors = *yes;
    } else if (key == "error") {
      errors_.push_back({ErrorCode::kInvalidInput, at, "the check option 'error' has to be true or false"});
    } else {
      errors_.push_back({ErrorCode::kInvalidInput, at,
                         "unknown check option '" + std::string(option) +
                             "'; the options are skip=RULE,…, experimental=RULE,… and error=true"});
    }
  }
}

}  // namespace imagebuild::dockerfile
