#include "api/image_build_time.h"

#include <algorithm>
#include <cstdio>

namespace imagebuild::api {

namespace {

// The number in text[from, from + digits), or -1.
int number(std::string_view text, std::size_t from, std::size_t digits) {
  int value = 0;
  for (const char c : text.substr(from, digits)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string time_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

std::optional<WallTime> parse_time(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return {};
  for (const std::size_t at : {4U, 7U, 10U, 13U, 16U, 19U}) {
    if (text[at] != kForm[at]) return {};
  }
  const int year = number(text, 0, 4), month = number(text, 5, 2), day = number(text, 8, 2);
  const int hours = number(text, 11, 2), minutes = number(text, 14, 2), seconds = number(text, 17, 2);
  if (std::min({year, month, day, hours, minutes, seconds}) < 0 || hours > 23 || minutes > 59 || seconds > 60)
    return {};
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
         std::chrono::seconds(seconds);
}

std::string duration_text(std::chrono::seconds duration) {
  const auto total = std::max<long long>(duration.count(), 0);
  std::string text;
  if (total >= 3600) text += std::to_string(total / 3600) + "h";
  if (total >= 60) text += std::to_string(total / 60 % 60) + "m";
  return text + std::to_string(total % 60) + "s";
}

}  // namespace imagebuild::api
