#include "operator/http_server.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <latch>
#include <stdexcept>
#include <thread>

#include "unit/operator/raw_client.h"

namespace imagebuild::op {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kHealth = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n";

class Served {
 public:
  explicit Served(HttpServer::Options options = {}) : server_(local(std::move(options))) {
    server_.route("GET", "/healthz", [](const HttpRequest&) { return HttpAnswer{.body = "ok"}; });
  }
  HttpServer& server() { return server_; }
  std::uint16_t port() {
    if (port_ == 0) {
      const auto started = server_.start();
      EXPECT_TRUE(started.ok()) << started.error().message;
      port_ = started.ok() ? *started : 1;
    }
    return port_;
  }
  std::string ask(std::string_view bytes) { return RawClient::ask(port(), bytes); }

 private:
  static HttpServer::Options local(HttpServer::Options options) {
    options.address = "127.0.0.1";
    options.threads = std::min(options.threads, 4);
    return options;
  }
  HttpServer server_;
  std::uint16_t port_ = 0;
};

TEST(HttpServer, GivesTheHandlerTheWholeRequest) {
  Served served;
  HttpRequest got;
  served.server().route("POST", "/v1/reports/", [&](const HttpRequest& request) {
    got = request;
    return HttpAnswer{.status = 204};
  });
  const std::string answer = served.ask(
      "POST /v1/reports/team/%61pp?x=1&y HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer abc\r\n"
      "Content-Length: 5\r\n\r\nhello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
  EXPECT_EQ(got.method, "POST");
  EXPECT_EQ(got.path, "/v1/reports/team/app");
  EXPECT_EQ(got.query, "x=1&y");
  EXPECT_EQ(got.header("authorization"), "Bearer abc");
  EXPECT_EQ(got.header("missing"), "");
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.remote_address, "127.0.0.1");
}

TEST(HttpServer, TakesABodyThatComesInPieces) {
  Served served({.max_body_bytes = 1 << 20});
  std::string got;
  served.server().route("POST", "/", [&](const HttpRequest& request) {
    got = request.body;
    return HttpAnswer{.body = "taken"};
  });
  const std::string body(300'000, 'x');
  RawClient client(served.port());
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n"));
  ASSERT_TRUE(client.readable(5'000));  // 100 Continue.
  for (std::size_t at = 0; at < body.size(); at += 50'000) ASSERT_TRUE(client.send(body.substr(at, 50'000)));
  EXPECT_THAT(client.rest(), AllOf(StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), EndsWith("taken")));
  EXPECT_EQ(got, body);
}

TEST(HttpServer, AnswersWhatItDoesNotServe) {
  Served served({.max_body_bytes = 100});
  served.server().route("POST", "/post/", [](const HttpRequest&) { return HttpAnswer{.body = "subtree"}; });
  served.server().route("POST", "/post/one", [](const HttpRequest&) { return HttpAnswer{.body = "longest"}; });
  served.server().route("GET", "/throw", [](const HttpRequest&) -> HttpAnswer { throw std::runtime_error("boom"); });
  served.server().route("GET", "/throw-int", [](const HttpRequest&) -> HttpAnswer { throw 1; });
  served.server().route(
      "POST", "/closed", [](const HttpRequest&) { return HttpAnswer{}; },
      [](const HttpRequest&) { return std::optional<HttpAnswer>({.status = 401}); });
  const std::string big(17'000, 'a');
  const struct {
    const char* name;
    std::string request;
    const char* status;
    const char* holds;
  } kRows[] = {
      {"known", kHealth, "200 OK", "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n"},
      {"unknown path", "GET /other HTTP/1.1\r\n\r\n", "404", "nothing at this path"},
      {"below an exact path", "GET /healthz/x HTTP/1.1\r\n\r\n", "404", "nothing"},
      {"a file", "GET /../../etc/passwd HTTP/1.1\r\n\r\n", "404", "nothing"},
      {"the root", "GET / HTTP/1.1\r\n\r\n", "404", "nothing"},
      {"wrong method", "PUT /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405", "Allow: GET\r\n"},
      {"OPTIONS", "OPTIONS /healthz HTTP/1.1\r\n\r\n", "405", "Allow: GET\r\n"},
      {"subtree", "POST /post/two HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "200", "subtree"},
      {"longest route", "POST /post/one HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "200", "longest"},
      {"no length", "POST /post/ HTTP/1.1\r\n\r\n", "411", "Content-Length"},
      {"chunked", "POST /post/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "411",
       "Content-Length"},
      {"two lengths", "POST /post/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400",
       "more than one"},
      {"odd length", "POST /post/ HTTP/1.1\r\nContent-Length: 1x\r\n\r\na", "400", "no number"},
      {"negative length", "POST /post/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "4", ""},
      {"too long", "POST /post/ HTTP/1.1\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'a'), "413", "100 bytes"},
      {"gate", "POST /closed HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "401", ""},
      {"big header", "GET /healthz HTTP/1.1\r\nA: " + big + "\r\n\r\n", "400", ""},
      {"big path", "GET /" + big + " HTTP/1.1\r\n\r\n", "400", ""},
      {"no HTTP", "hello\r\n\r\n", "400", ""},
      {"throws", "GET /throw HTTP/1.1\r\n\r\n", "500", "boom"},
      {"throws something odd", "GET /throw-int HTTP/1.1\r\n\r\n", "500", "could not be handled"},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const std::string answer = served.ask(row.request);
    EXPECT_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + row.status));
    EXPECT_THAT(answer, HasSubstr(row.holds));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  }
  EXPECT_THAT(served.ask("HEAD /healthz HTTP/1.1\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n")));
}

TEST(HttpServer, RefusesBeforeTheBodyIsSent) {
  Served served({.max_body_bytes = 10, .silence = milliseconds(60'000), .lifetime = milliseconds(60'000)});
  served.server().route(
      "POST", "/closed", [](const HttpRequest&) { return HttpAnswer{}; },
      [](const HttpRequest& request) {
        return request.header("Authorization").empty() ? std::optional<HttpAnswer>({.status = 401}) : std::nullopt;
      });
  for (const std::string& extra :
       {std::string("Content-Length: 5\r\n"), std::string("Content-Length: 9000000000\r\n")}) {
    RawClient client(served.port());
    ASSERT_TRUE(client.send("POST /closed HTTP/1.1\r\nExpect: 100-continue\r\n" + extra + "\r\n"));
    EXPECT_THAT(client.rest(), StartsWith("HTTP/1.1 401"));
  }
  RawClient client(served.port());
  ASSERT_TRUE(
      client.send("POST /closed HTTP/1.1\r\nAuthorization: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"));
  EXPECT_THAT(client.rest(), StartsWith("HTTP/1.1 413"));
}

TEST(HttpServer, KeepsTheMemoryOfBodiesBounded) {
  Served served({.max_body_bytes = 100, .max_pending_bytes = 150});
  served.server().route("POST", "/", [](const HttpRequest&) { return HttpAnswer{.body = "taken"}; });
  RawClient first(served.port());
  ASSERT_TRUE(first.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"));
  ASSERT_TRUE(first.readable(5'000));  // Its memory is taken.
  const std::string second = "POST / HTTP/1.1\r\nContent-Length: 51\r\n\r\n" + std::string(51, 'b');
  EXPECT_THAT(served.ask(second), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1\r\n")));
  ASSERT_TRUE(first.send(std::string(100, 'a')));
  EXPECT_THAT(first.rest(), HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(served.ask(second), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, AnswersWhileOthersHoldHalfOpenConnections) {
  Served served(
      {.threads = 4, .silence = milliseconds(60'000), .lifetime = milliseconds(60'000), .patience = milliseconds(50)});
  std::vector<RawClient> half_open;
  for (int i = 0; i < 50; ++i) {
    half_open.emplace_back(served.port());
    ASSERT_TRUE(half_open.back().connected());
    if (i % 2 == 0) {
      ASSERT_TRUE(half_open.back().send("GET /heal"));
    }
  }
  EXPECT_THAT(served.ask(kHealth), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(served.ask(kHealth), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, CutsOffTheSilent) {
  Served served({.silence = milliseconds(100), .lifetime = milliseconds(60'000)});
  served.server().route("POST", "/", [](const HttpRequest&) { return HttpAnswer{}; });
  for (const char* start : {"", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"}) {
    SCOPED_TRACE(start);
    RawClient client(served.port());
    ASSERT_TRUE(client.send(start));
    EXPECT_THAT(client.rest(), Not(HasSubstr("200")));
  }
}

TEST(HttpServer, CutsOffThoseWhoSendAByteNowAndThen) {
  Served served({.silence = milliseconds(60'000), .lifetime = milliseconds(200)});
  served.server().route("POST", "/", [](const HttpRequest&) { return HttpAnswer{}; });
  for (const char* start : {"GET / HTTP/1.1\r\nA: ", "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"}) {
    SCOPED_TRACE(start);
    RawClient client(served.port());
    ASSERT_TRUE(client.send(start));
    int sent = 0;
    while (sent < 2'000 && !client.readable(5) && client.send("a")) ++sent;
    EXPECT_LT(sent, 2'000);
    EXPECT_THAT(client.rest(), Not(HasSubstr("200")));
  }
}

TEST(HttpServer, EndsWhatItHandlesBeforeItStops) {
  Served served;
  std::latch entered(1), leave(1);
  served.server().route("GET", "/slow", [&](const HttpRequest&) {
    entered.count_down();
    leave.wait();
    return HttpAnswer{.body = "done"};
  });
  const std::uint16_t port = served.port();
  auto slow = std::async(std::launch::async, [&] { return served.ask("GET /slow HTTP/1.1\r\n\r\n"); });
  RawClient idle(port);  // It must not hold up the end.
  entered.wait();
  auto stopped = std::async(std::launch::async, [&] { served.server().stop(); });
  while (served.ask(kHealth).starts_with("HTTP/1.1 200")) std::this_thread::yield();
  EXPECT_THAT(served.ask(kHealth), StartsWith("HTTP/1.1 503"));
  leave.count_down();
  EXPECT_THAT(slow.get(), EndsWith("done"));
  stopped.get();
  EXPECT_EQ(idle.rest(), "");
  EXPECT_FALSE(RawClient(port).connected());
}

TEST(HttpServer, SaysThatThePortIsTaken) {
  Served served;
  HttpServer second({.name = "metrics", .address = "127.0.0.1", .port = served.port(), .threads = 1});
  const auto started = second.start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(started.error().message,
              StartsWith("metrics cannot listen on 127.0.0.1:" + std::to_string(served.port())));
}

TEST(HttpServer, SaysThatItHasNoIpv6) {
  HttpServer server({.name = "reports", .address = "::1"});
  const auto started = server.start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kUnsupported);
}

TEST(HttpServer, CanBeStoppedTwiceOrNever) {
  Served served;
  EXPECT_NE(served.port(), 0);
  served.server().stop();
  served.server().stop();
  HttpServer unused({});
}

}  // namespace
}  // namespace imagebuild::op
