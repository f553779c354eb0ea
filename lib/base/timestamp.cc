#include "base/timestamp.h"

#include <algorithm>
#include <cstdio>

namespace imagebuild {
namespace {

using std::chrono::microseconds;

std::string text_to_the_second(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

// Reads digits and separators from the front of a text; remembers whether all went well.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  int number(std::size_t digits) {
    int value = 0;
    good_ = good_ && text_.size() >= digits;
    for (std::size_t i = 0; good_ && i < digits; ++i) {
      good_ = text_[i] >= '0' && text_[i] <= '9';
      value = value * 10 + (text_[i] - '0');
    }
    if (good_) text_.remove_prefix(digits);
    return value;
  }
  bool take(char c) {
    if (!good_ || text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) { good_ = take(c); }
  bool digit_next() const { return good_ && !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; }
  bool good() const { return good_; }
  bool done() const { return good_ && text_.empty(); }

 private:
  std::string_view text_;
  bool good_ = true;
};

microseconds fraction(Cursor& cursor) {
  long long value = 0, unit = 100'000;
  while (cursor.digit_next()) {
    value += cursor.number(1) * unit;
    unit /= 10;
  }
  return microseconds(value);
}

}  // namespace

std::string time_text(WallTime time) {
  return text_to_the_second(time) + "Z";
}

std::string micro_time_text(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<microseconds>(time - whole).count();
  char text[16];
  std::snprintf(text, sizeof text, ".%06dZ", static_cast<int>(micros));
  return text_to_the_second(time) + text;
}

std::optional<WallTime> parse_time(std::string_view text) {
  Cursor cursor(text);
  const int year = cursor.number(4);
  cursor.expect('-');
  const int month = cursor.number(2);
  cursor.expect('-');
  const int day = cursor.number(2);
  cursor.expect('T');
  const int hours = cursor.number(2);
  cursor.expect(':');
  const int minutes = cursor.number(2);
  cursor.expect(':');
  const int seconds = cursor.number(2);
  const microseconds part = cursor.take('.') ? fraction(cursor) : microseconds(0);
  int offset_minutes = 0;
  const bool east = cursor.take('+');
  if (east || cursor.take('-')) {
    const int offset_hours = cursor.number(2);
    cursor.expect(':');
    offset_minutes = (offset_hours * 60 + cursor.number(2)) * (east ? 1 : -1);
  } else {
    cursor.expect('Z');
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!cursor.done() || !date.ok() || hours > 23 || minutes > 59 || seconds > 60) return {};
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hours) +
         std::chrono::minutes(minutes - offset_minutes) + std::chrono::seconds(seconds) + part;
}

std::string duration_text(std::chrono::seconds duration) {
  const auto total = std::max<long long>(duration.count(), 0);
  std::string text;
  if (total >= 3600) text += std::to_string(total / 3600) + "h";
  if (total >= 60) text += std::to_string(total / 60 % 60) + "m";
  return text + std::to_string(total % 60) + "s";
}

}  // namespace imagebuild
