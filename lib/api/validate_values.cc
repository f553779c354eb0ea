#include "api/validate_values.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "oci/reference.h"

namespace imagebuild::api {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower_alnum(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z');
}

// Takes "12", "1.5" or ".5" from the front.
std::optional<double> take_number(std::string_view& text) {
  double value = 0, scale = 1;
  bool any = false, fraction = false;
  while (!text.empty() && (is_digit(text.front()) || (text.front() == '.' && !fraction))) {
    if (text.front() == '.') {
      fraction = true;
    } else {
      any = true;
      value = value * 10 + (text.front() - '0');
      if (fraction) scale *= 10;
    }
    text.remove_prefix(1);
  }
  if (!any) return {};
  return value / scale;
}

std::optional<double> factor_of(std::string_view suffix) {
  constexpr std::pair<std::string_view, double> kFactors[] = {
      {"", 1},        {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},   {"k", 1e3},     {"M", 1e6},
      {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},   {"Ki", 0x1p10}, {"Mi", 0x1p20},
      {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  for (const auto& [name, factor] : kFactors) {
    if (name == suffix) return factor;
  }
  if (suffix.front() != 'e' && suffix.front() != 'E') return {};
  suffix.remove_prefix(1);
  const bool negative = suffix.starts_with('-');
  if (negative || suffix.starts_with('+')) suffix.remove_prefix(1);
  if (suffix.empty() || suffix.size() > 2 || !std::ranges::all_of(suffix, is_digit)) return {};
  int exponent = 0;
  for (const char c : suffix) exponent = exponent * 10 + (c - '0');
  return std::pow(10.0, negative ? -exponent : exponent);
}

}  // namespace

std::optional<double> parse_quantity(std::string_view text) {
  if (text.size() > 64) return {};
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::optional<double> number = take_number(text);
  if (!number) return {};
  const std::optional<double> factor = factor_of(text);
  if (!factor) return {};
  return (negative ? -1 : 1) * *number * *factor;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  constexpr double kYear = 366.0 * 24 * 3600e3;
  if (text.empty()) return {};
  double total = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_number(text);
    const auto unit = std::ranges::find_if(kUnits, [&](const auto& entry) { return text.starts_with(entry.first); });
    if (!number || unit == std::end(kUnits)) return {};
    text.remove_prefix(unit->first.size());
    total += *number * unit->second;
  }
  if (total > kYear) return {};
  return std::chrono::milliseconds(std::llround(total));
}

std::string name_mistake(std::string_view name) {
  if (name.empty()) return "must not be empty";
  if (name.size() > 253) return "must not be longer than 253 characters";
  bool start = true;  // Of a part between dots.
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool last = i + 1 == name.size() || name[i + 1] == '.';
    if (name[i] == '.' && !start) {
      start = true;
      continue;
    }
    if (!is_lower_alnum(name[i]) && (name[i] != '-' || start || last)) {
      return "must consist of lower-case letters, digits, '-' and '.', and begin and end with a letter or digit";
    }
    start = false;
  }
  return start ? "must end with a letter or digit" : "";
}

std::string key_mistake(std::string_view key) {
  if (key.empty()) return "must not be empty";
  if (key.size() > 253) return "must not be longer than 253 characters";
  const bool fine = std::ranges::all_of(
      key, [](char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.'; });
  if (!fine) return "must consist of letters, digits, '-', '_' and '.'";
  return key == "." || key.starts_with("..") ? "must not begin with '..' or be '.'" : "";
}

std::string repository_mistake(const std::string& repository) {
  const Result<oci::Reference> reference = oci::Reference::parse(repository);
  if (!reference.ok()) return reference.error().message;
  const std::size_t slash = repository.rfind('/');
  const bool tagged = repository.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  return tagged || reference->digest() ? "must have no tag and no digest" : "";
}

std::string path_mistake(std::string_view path) {
  if (path.empty()) return "must not be empty";
  if (path.front() == '/') return "must be relative to the context";
  if (std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return "must not have control characters";
  }
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part == "..") return "must not leave the context by '..'";
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return "";
}

}  // namespace imagebuild::api
