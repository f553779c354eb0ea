#include "http/retry.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <random>

namespace imagebuild::http {
namespace {

using std::chrono::milliseconds;

// A wish longer than a day is as good as for ever; the bound keeps arithmetic from overflowing.
constexpr long long kLongestSeconds = 24 * 60 * 60;

double real_random() {
  static std::mutex mutex;
  static std::mt19937_64 engine{std::random_device{}()};
  const std::lock_guard lock(mutex);
  return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

void sleep_unless_stopped(milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
}

}  // namespace

// Read by hand: strptime would obey the locale.
std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return {};
  bool good = true;
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    const char* end = text.data() + at + length;
    const auto result = std::from_chars(text.data() + at, end, value);
    good = good && result.ec == std::errc{} && result.ptr == end && value >= 0;
    return value;
  };
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) return {};
  const std::chrono::year_month_day day{std::chrono::year(number(12, 4)),
                                        std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                                        std::chrono::day(static_cast<unsigned>(number(5, 2)))};
  const int hours = number(17, 2), minutes = number(20, 2), seconds = number(23, 2);
  if (!good || !day.ok() || hours > 23 || minutes > 59 || seconds > 60) return {};
  return WallTime(std::chrono::sys_days(day)) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
         std::chrono::seconds(seconds);
}

bool is_transient(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

std::optional<milliseconds> parse_retry_after(std::string_view value, WallTime now) {
  while (value.starts_with(' ')) value.remove_prefix(1);
  while (value.ends_with(' ')) value.remove_suffix(1);
  long long seconds = 0;
  const char* end = value.data() + value.size();
  const auto [ptr, error] = std::from_chars(value.data(), end, seconds);
  if (ptr == end && !value.empty() && error == std::errc::result_out_of_range) seconds = kLongestSeconds;
  if (ptr == end && !value.empty()) {
    if (seconds < 0) return {};
    return std::chrono::seconds(std::min(seconds, kLongestSeconds));
  }
  const auto date = parse_http_date(value);
  if (!date) return {};
  const auto wait = std::chrono::duration_cast<milliseconds>(*date - now);
  return std::clamp(wait, milliseconds(0), milliseconds(kLongestSeconds * 1000));
}

std::optional<milliseconds> delay_before_retry(const RetryPolicy& policy, int failures, double random,
                                               std::optional<milliseconds> server_wish) {
  if (failures >= policy.attempts) return {};
  if (server_wish) {
    if (*server_wish > policy.longest_wish) return {};
    return *server_wish;
  }
  milliseconds whole = std::min(policy.base, policy.cap);
  for (int i = 1; i < failures && whole < policy.cap; ++i) whole = std::min(whole * 2, policy.cap);
  const double half = static_cast<double>(whole.count()) / 2;
  return milliseconds(static_cast<milliseconds::rep>(half + half * std::clamp(random, 0.0, 1.0)));
}

bool Retrier::again(const Error& error, std::optional<milliseconds> server_wish) {
  return error.code == ErrorCode::kUnavailable && wait(server_wish);
}

bool Retrier::again(const Response& response) {
  if (!is_transient(response.status)) return false;
  return wait(wish_of(response));
}

std::optional<milliseconds> Retrier::wish_of(const Response& response) const {
  const auto value = response.headers.find("Retry-After");
  return value ? parse_retry_after(*value, seams_.now()) : std::nullopt;
}

bool Retrier::wait(std::optional<milliseconds> server_wish) {
  ++failures_;
  const double random = seams_.random ? seams_.random() : real_random();
  const auto delay = delay_before_retry(policy_, failures_, random, server_wish);
  if (!delay || stop_.stop_requested()) return false;
  if (seams_.sleep) {
    seams_.sleep(*delay);
  } else {
    sleep_unless_stopped(*delay, stop_);
  }
  return !stop_.stop_requested();
}

Result<Response> send_with_retry(HttpTransport& transport, const Request& request, const RetryPolicy& policy,
                                 const RetrySeams& seams, std::stop_token stop) {
  Retrier retrier(policy, seams, stop);
  while (true) {
    Result<Response> response = transport.send(request, stop);
    const bool again = response.ok() ? retrier.again(*response) : retrier.again(response.error());
    if (again) continue;
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    return response;
  }
}

}  // namespace imagebuild::http
