#include "dockerfile/durations.h"

#include <cstdint>

namespace imagebuild::dockerfile {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Longer names before those that begin them.
constexpr Unit kUnits[] = {
    {"ns", 1},
    {"us", 1'000},
    {"\xC2\xB5s", 1'000},  // Micro sign.
    {"\xCE\xBCs", 1'000},  // Greek mu.
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

const Unit* take_unit(std::string_view& text) {
  for (const Unit& unit : kUnits) {
    if (text.substr(0, unit.name.size()) != unit.name) continue;
    text.remove_prefix(unit.name.size());
    return &unit;
  }
  return nullptr;
}

// One "1.5s".
std::optional<std::int64_t> take_term(std::string_view& text) {
  std::int64_t whole = 0;
  double fraction = 0;
  bool any = false;
  for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), any = true) {
    if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, text.front() - '0', &whole)) {
      return std::nullopt;
    }
  }
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    for (double scale = 0.1; !text.empty() && is_digit(text.front()); text.remove_prefix(1), scale /= 10, any = true) {
      fraction += scale * (text.front() - '0');
    }
  }
  if (!any) return std::nullopt;
  const Unit* unit = take_unit(text);
  std::int64_t result = 0;
  if (unit == nullptr || __builtin_mul_overflow(whole, unit->nanoseconds, &result)) return std::nullopt;
  const auto rest = static_cast<std::int64_t>(fraction * static_cast<double>(unit->nanoseconds) + 0.5);
  if (__builtin_add_overflow(result, rest, &result)) return std::nullopt;
  return result;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    const auto term = take_term(text);
    if (!term || __builtin_add_overflow(total, *term, &total)) return std::nullopt;
  }
  return std::chrono::nanoseconds(negative ? -total : total);
}

}  // namespace imagebuild::dockerfile
