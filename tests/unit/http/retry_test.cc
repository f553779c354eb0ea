#include "http/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>

namespace imagebuild::http {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Wait = std::optional<milliseconds>;

struct Delay {
  const char* name;
  int failures;
  double random;
  Wait wish, expected;
};

class DelayBeforeRetry : public testing::TestWithParam<Delay> {};

TEST_P(DelayBeforeRetry, IsPure) {
  const RetryPolicy policy{.attempts = 5, .base = 100ms, .cap = 500ms, .longest_wish = 60s};
  EXPECT_EQ(delay_before_retry(policy, GetParam().failures, GetParam().random, GetParam().wish), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, DelayBeforeRetry,
    testing::Values(Delay{"FirstShortest", 1, 0.0, {}, 50ms}, Delay{"FirstLongest", 1, 1.0, {}, 100ms},
                    Delay{"Doubles", 2, 1.0, {}, 200ms}, Delay{"DoublesAgain", 3, 0.5, {}, 300ms},
                    Delay{"IsCapped", 4, 1.0, {}, 500ms}, Delay{"EndsAfterTheLastAttempt", 5, 0.0, {}, Wait{}},
                    Delay{"ServerWishWins", 1, 0.0, 7s, 7s}, Delay{"ServerWishOfZero", 2, 1.0, 0ms, 0ms},
                    Delay{"ServerWishAboveTheCap", 1, 0.0, 60s, 60s}, Delay{"ServerWishTooLong", 1, 0.0, 61s, Wait{}},
                    Delay{"WishDoesNotAddAttempts", 5, 0.0, 1s, Wait{}}),
    [](const auto& row) { return row.param.name; });

TEST(DelayBeforeRetry, NeverOverflows) {
  const RetryPolicy policy{.attempts = 1'000'000, .base = 1ms, .cap = 30s, .longest_wish = 1s};
  EXPECT_EQ(delay_before_retry(policy, 999'999, 1.0, {}), 30s);
}

struct RetryAfter {
  const char* name;
  const char* value;
  Wait expected;
};

class ParsesRetryAfter : public testing::TestWithParam<RetryAfter> {};

TEST_P(ParsesRetryAfter, SecondsAndDates) {
  // 1994-11-06 08:49:07 UTC, 30 s before the RFC's own example.
  const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(1994) / 11 / 6)) + 8h + 49min + 7s;
  EXPECT_EQ(parse_retry_after(GetParam().value, now), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Table, ParsesRetryAfter,
                         testing::Values(RetryAfter{"Seconds", "120", 120s}, RetryAfter{"Zero", "0", 0s},
                                         RetryAfter{"Spaces", " 3 ", 3s},
                                         RetryAfter{"Date", "Sun, 06 Nov 1994 08:49:37 GMT", 30s},
                                         RetryAfter{"PastDate", "Sun, 06 Nov 1994 08:49:00 GMT", 0s},
                                         RetryAfter{"FarDateIsADay", "Sun, 06 Nov 2094 08:49:00 GMT", 24h},
                                         RetryAfter{"HugeIsADay", "99999999999999999999", 24h},
                                         RetryAfter{"Negative", "-1", Wait{}}, RetryAfter{"Empty", "", Wait{}},
                                         RetryAfter{"Text", "soon", Wait{}}, RetryAfter{"NumberAndText", "3 s", Wait{}},
                                         RetryAfter{"BadMonth", "Sun, 06 Nov1994 08:49:37 GMT", Wait{}},
                                         RetryAfter{"BadDay", "Sun, 31 Feb 1994 08:49:37 GMT", Wait{}},
                                         RetryAfter{"OtherZone", "Sun, 06 Nov 1994 08:49:37 CET", Wait{}}),
                         [](const auto& row) { return row.param.name; });

TEST(IsTransient, ListsWhatMayHeal) {
  for (const int status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_transient(status)) << status;
  for (const int status : {200, 301, 400, 401, 403, 404, 409, 413, 416, 501, 505}) {
    EXPECT_FALSE(is_transient(status)) << status;
  }
}

// Answers what it was told to, in order.
class ScriptedTransport final : public HttpTransport {
 public:
  explicit ScriptedTransport(std::deque<Result<int>> script) : script_(std::move(script)) {}
  Result<Response> send(const Request&, std::stop_token) override {
    ++sent;
    const Result<int> next = script_.front();
    script_.pop_front();
    if (!next.ok()) return next.error();
    Response response{.status = *next, .headers = {}, .body = std::make_unique<StringSource>("")};
    if (*next == 429) response.headers.add("Retry-After", "9");
    return response;
  }
  int sent = 0;

 private:
  std::deque<Result<int>> script_;
};

class SendWithRetry : public testing::Test {
 protected:
  Result<Response> send(std::deque<Result<int>> script, std::stop_token stop = {}) {
    ScriptedTransport transport(std::move(script));
    auto response = send_with_retry(transport, {.url = *Url::parse("http://h/")},
                                    {.attempts = 3, .base = 100ms, .cap = 1s, .longest_wish = 10s},
                                    {.now = system_clock_now,
                                     .sleep = [&](milliseconds duration) { slept_.push_back(duration); },
                                     .random = [] { return 1.0; }},
                                    std::move(stop));
    sent_ = transport.sent;
    return response;
  }
  std::vector<milliseconds> slept_;
  int sent_ = 0;
};

const Error kReset{ErrorCode::kUnavailable, "reset"};

TEST_F(SendWithRetry, GoesOnUntilASuccess) {
  const auto response = send({503, kReset, 200});
  EXPECT_EQ(response->status, 200);
  EXPECT_THAT(slept_, testing::ElementsAre(100ms, 200ms));
}

TEST_F(SendWithRetry, ReturnsTheLastAnswerWhenItGivesUp) {
  EXPECT_EQ(send({503, 503, 502, 200})->status, 502);
  EXPECT_EQ(sent_, 3);
}

TEST_F(SendWithRetry, ReturnsTheLastErrorWhenItGivesUp) {
  EXPECT_EQ(send({kReset, kReset, kReset}).error().message, "reset");
}

TEST_F(SendWithRetry, WaitsAsLongAsTheServerAsks) {
  EXPECT_EQ(send({429, 200})->status, 200);
  EXPECT_THAT(slept_, testing::ElementsAre(9000ms));
}

TEST_F(SendWithRetry, LeavesFinalAnswersAlone) {
  EXPECT_EQ(send({404})->status, 404);
  EXPECT_EQ(send({Error{ErrorCode::kDenied, "no"}}).error().code, ErrorCode::kDenied);
  EXPECT_TRUE(slept_.empty());
}

TEST_F(SendWithRetry, StopsWhenAsked) {
  const auto stop = std::make_unique<std::stop_source>();
  stop->request_stop();
  EXPECT_EQ(send({503}, stop->get_token()).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(sent_, 1);
}

TEST(Retrier, CountsAnewAfterProgress) {
  Retrier retrier({.attempts = 2, .base = 0ms, .cap = 0ms}, {.sleep = [](milliseconds) {}, .random = {}}, {});
  EXPECT_TRUE(retrier.again(kReset));
  EXPECT_FALSE(retrier.again(kReset));
  retrier.reset();
  EXPECT_TRUE(retrier.again(kReset));
}

}  // namespace
}  // namespace imagebuild::http
