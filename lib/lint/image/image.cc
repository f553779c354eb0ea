#include "lint/image/image.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>

#include "lint/image/image_checks.h"

namespace imagebuild::lint {

namespace {

bool is_skipped(const api::Warning& warning, const std::vector<api::SkippedRule>& skipped) {
  return std::ranges::any_of(skipped, [&](const api::SkippedRule& it) {
    if (it.rule != "all" && it.rule != warning.rule) return false;
    return it.first_line == 0 || (it.first_line <= warning.at.line && warning.at.line <= it.last_line);
  });
}

}  // namespace

std::vector<api::Warning> check_image(const ImageInput& input) {
  Warnings warnings;
  check_installed_tools(input, warnings);
  check_package_caches(input, warnings);
  check_stored_twice(input, warnings);
  check_private_keys(input, warnings);
  std::erase_if(warnings, [&](const api::Warning& warning) { return is_skipped(warning, input.skipped); });
  std::ranges::stable_sort(warnings, {}, [](const api::Warning& warning) {
    return std::tie(warning.at.line, warning.at.column, warning.rule);
  });
  return warnings;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"bytes", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> text{};
  const int size =
      std::snprintf(text.data(), text.size(), unit > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string shown_path(std::string_view path) {
  std::string shown = "/" + std::string(path);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return shown;
}

std::string share_text(std::uint64_t bytes, const ImageInput& input) {
  if (input.total_bytes < bytes) return size_text(bytes);
  return size_text(bytes) + " of " + size_text(input.total_bytes);
}

}  // namespace imagebuild::lint
