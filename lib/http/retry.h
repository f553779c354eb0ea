// Trying again: when, how often, and how long to wait before.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "http/transport.h"

namespace imagebuild::http {

struct RetryPolicy {
  int attempts = 5;                                 // Tries in all; 1 means never again.
  std::chrono::milliseconds base{500};              // The longest first wait; it doubles with each failure.
  std::chrono::milliseconds cap{15'000};            // No wait of our own choice is longer.
  std::chrono::milliseconds longest_wish{120'000};  // A Retry-After beyond this is not worth waiting for: give up.
};

// What retrying needs from outside.
struct RetrySeams {
  Clock now = system_clock_now;
  Sleeper sleep;                   // Absent: sleeps really, and wakes when told to stop.
  std::function<double()> random;  // In [0, 1); absent: a real generator.
};

// 408, 429, 500, 502, 503 and 504: an answer that another try may change.
bool is_transient(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT": IMF-fixdate, the one form that servers write today (RFC 9110 section 5.6.7).
std::optional<WallTime> parse_http_date(std::string_view text);

// A Retry-After value, seconds or an HTTP date (RFC 9110 section 10.2.3), as a wait from `now` on; never negative.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value, WallTime now);

// How long to wait before the next try, after `failures` (1, 2, …) tries failed; nothing: give up. The wait is the
// server's wish if it has one, else between half and all of base * 2^(failures - 1), by `random` in [0, 1).
std::optional<std::chrono::milliseconds> delay_before_retry(const RetryPolicy& policy, int failures, double random,
                                                            std::optional<std::chrono::milliseconds> server_wish);

// Counts the failures of one operation and waits between them.
class Retrier {
 public:
  Retrier(const RetryPolicy& policy, const RetrySeams& seams, std::stop_token stop)
      : policy_(policy), seams_(seams), stop_(std::move(stop)) {}

  // After a failed try: waits and returns true when there is another try, false when the failure is final (the error
  // is not kUnavailable, the tries are used up, or somebody asked to stop). `server_wish` comes from wish_of().
  bool again(const Error& error, std::optional<std::chrono::milliseconds> server_wish = {});
  bool again(const Response& response);  // The same for an answer; false at once if it is not transient.
  // How long this answer asks to wait (its Retry-After), if it does.
  std::optional<std::chrono::milliseconds> wish_of(const Response& response) const;
  // Call when a try made progress (some more bytes moved): it is counted anew from there.
  void reset() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  bool wait(std::optional<std::chrono::milliseconds> server_wish);
  RetryPolicy policy_;
  RetrySeams seams_;
  std::stop_token stop_;
  int failures_ = 0;
};

// Sends until there is an answer that is not transient or the policy gives up; then the last answer or error.
// For requests that may arrive twice.
Result<Response> send_with_retry(HttpTransport& transport, const Request& request, const RetryPolicy& policy,
                                 const RetrySeams& seams, std::stop_token stop);

}  // namespace imagebuild::http
