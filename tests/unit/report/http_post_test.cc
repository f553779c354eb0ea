#include "builder/report/http_post.h"

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "fakes/http_server.h"

namespace imagebuild::builder {
namespace {

using fakes::Exchange;
using fakes::HttpServer;
using std::chrono::milliseconds;

Result<int> post(const HttpServer& server, std::string_view json, const PostLimits& limits = {},
                 const std::stop_token& stop = {}) {
  const auto endpoint = HttpEndpoint::parse(server.url() + "/v1/reports/ns/app/uid/pod");
  if (!endpoint.ok()) return endpoint.error();
  return http_post_json(*endpoint, "secret", json, limits, stop);
}

TEST(HttpEndpoint, TakesOnlyPlainHttpToAnAddress) {
  const struct {
    const char* url;
    const char* host;  // Empty: refused.
    const char* path;
    int family;
  } rows[] = {
      {"http://10.1.2.3:8081/v1/x", "10.1.2.3:8081", "/v1/x", AF_INET},
      {"http://10.1.2.3", "10.1.2.3", "/", AF_INET},
      {"http://10.1.2.3?q=/a", "10.1.2.3", "/?q=/a", AF_INET},
      {"http://[fd00::1]:8081/v1/x", "[fd00::1]:8081", "/v1/x", AF_INET6},
      {"http://[::1]/", "[::1]", "/", AF_INET6},
      {"https://10.1.2.3/", "", "", 0},
      {"http://operator.imagebuild.svc:8081/", "", "", 0},
      {"http://user@10.1.2.3/", "", "", 0},
      {"http://10.1.2.3:/", "", "", 0},
      {"http://10.1.2.3:0/", "", "", 0},
      {"http://10.1.2.3:65536/", "", "", 0},
      {"http://10.1.2.3:80x/", "", "", 0},
      {"http://fd00::1/", "", "", 0},
      {"http://[fd00::1/", "", "", 0},
      {"http://[10.1.2.3]/", "", "", 0},
      {"http://[fd00::1]x:80/", "", "", 0},
      {"http:///", "", "", 0},
      {"http://10.1.2.3/a b", "", "", 0},
      {"http://10.1.2.3/a\r\nHost: b", "", "", 0},
      {"", "", "", 0},
  };
  for (const auto& row : rows) {
    const auto endpoint = HttpEndpoint::parse(row.url);
    EXPECT_EQ(endpoint.ok(), *row.host != '\0') << row.url;
    if (!endpoint.ok()) continue;
    EXPECT_EQ(endpoint->host(), row.host) << row.url;
    EXPECT_EQ(endpoint->path(), row.path) << row.url;
    EXPECT_EQ(endpoint->address()->sa_family, row.family) << row.url;
  }
}

TEST(AnsweredStatus, ReadsTheStatusLineAndNothingElse) {
  const struct {
    const char* answer;
    int status;  // 0: more is needed. -1: not HTTP.
  } rows[] = {
      {"", 0},
      {"HTTP/1.1 204", 0},
      {"HTTP/1.1 204\r", 0},
      {"HTTP/1.1 204\r\n", 204},
      {"HTTP/1.1 204 No Content\r\nA: b", 204},
      {"HTTP/1.0 503 \r\n", 503},
      {"HTTP/1.1 100 Continue\r\n\r\n", 0},
      {"HTTP/1.1 100 Continue\r\nA: b\r\n", 0},
      {"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 401 No\r\n", 401},
      {"HTTP/2 204\r\n", -1},
      {"HTTP/1.2 204\r\n", -1},
      {"HTTP/1.1 20\r\n", -1},
      {"HTTP/1.1 2040\r\n", -1},
      {"HTTP/1.1 -20\r\n", -1},
      {"HTTP/1.1 099\r\n", -1},
      {"220 mail.example ESMTP\r\n", -1},
      {"\r\n", -1},
  };
  for (const auto& row : rows) {
    const auto status = answered_status(row.answer);
    EXPECT_EQ(status.ok() ? status->value_or(0) : -1, row.status) << row.answer;
  }
}

TEST(HttpPost, SendsOneWholeRequest) {
  std::promise<std::string> seen;
  HttpServer server([&](Exchange& exchange) {
    std::string text = exchange.method + " " + exchange.path;
    for (const char* name : {"Host", "Authorization", "Content-Type", "Content-Length"}) {
      text += "|" + exchange.headers.find(name).value_or("-");
    }
    seen.set_value(text + "|" + exchange.read_body());
    exchange.respond(204);
  });
  const auto status = post(server, R"({"a":1})");
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*status, 204);
  EXPECT_EQ(seen.get_future().get(),
            "POST /v1/reports/ns/app/uid/pod|" + server.host() + R"(|Bearer secret|application/json|7|{"a":1})");
}

TEST(HttpPost, SendsLargeBodies) {
  const std::string large(32U << 20, 'x');
  std::promise<bool> same;
  HttpServer server([&](Exchange& exchange) {
    same.set_value(exchange.read_body() == large);
    exchange.respond(204);
  });
  const auto status = post(server, large);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_TRUE(same.get_future().get());
}

TEST(HttpPost, TellsWhatTheServerDid) {
  const std::string large(8U << 20, 'x');
  const struct {
    const char* name;
    std::function<void(Exchange&)> handler;
    int status;  // 0: `code` instead.
    ErrorCode code;
    const std::string& json;
  } rows[] = {
      {"refused", [](Exchange& it) { (void)it.read_body(), it.respond(401, {}, "no"); }, 401, {}, "{}"},
      {"answered before the body was read", [](Exchange& it) { it.respond(413); }, 413, {}, large},
      {"a huge answer",
       [&](Exchange& it) {
         (void)it.read_body();
         it.respond(503, {}, large);
       },
       503,
       {},
       "{}"},
      {"a header without end",
       [&](Exchange& it) {
         it.write("HTTP/1.1 100 Continue\r\nX: ");
         it.write(large);
       },
       0, ErrorCode::kCorrupt, "{}"},
      {"closed at once", [](Exchange& it) { it.drop(); }, 0, ErrorCode::kUnavailable, large},
      {"closed within the status line",
       [](Exchange& it) {
         (void)it.read_body();
         it.write("HTTP/1.1 20");
         it.drop();
       },
       0, ErrorCode::kUnavailable, "{}"},
      {"no HTTP", [](Exchange& it) { it.write("220 ready\r\n"), it.drop(); }, 0, ErrorCode::kCorrupt, "{}"},
  };
  for (const auto& row : rows) {
    HttpServer server(row.handler);
    const auto status = post(server, row.json);
    if (row.status != 0) {
      ASSERT_TRUE(status.ok()) << row.name << ": " << status.error().message;
      EXPECT_EQ(*status, row.status) << row.name;
    } else {
      ASSERT_FALSE(status.ok()) << row.name;
      EXPECT_EQ(status.error().code, row.code) << row.name << ": " << status.error().message;
    }
  }
}

TEST(HttpPost, DoesNotWaitForEver) {
  HttpServer server([](Exchange& exchange) { exchange.hang(); });
  for (const PostLimits& limits : {PostLimits{.silence = milliseconds(30)}, PostLimits{.total = milliseconds(30)}}) {
    const auto status = post(server, "{}", limits);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  }
}

TEST(HttpPost, EndsAsSoonAsItIsStopped) {
  const auto stop = std::make_unique<std::stop_source>();  // On the heap: g++ 12 warns wrongly otherwise.
  HttpServer server([&](Exchange& exchange) {
    stop->request_stop();
    exchange.hang();
  });
  const PostLimits for_ever{std::chrono::hours(1), std::chrono::hours(1), std::chrono::hours(1)};
  const auto status = post(server, "{}", for_ever, stop->get_token());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
}

TEST(HttpPost, SaysThatNobodyListens) {
  std::string url;
  {
    HttpServer server([](Exchange&) {});
    url = server.url();
  }
  const auto status = http_post_json(*HttpEndpoint::parse(url), "secret", "{}", {}, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
}

TEST(HttpPost, KeepsTheTokenInOneHeader) {
  HttpServer server([](Exchange& exchange) { exchange.respond(204); });
  const auto endpoint = HttpEndpoint::parse(server.url());
  EXPECT_FALSE(http_post_json(*endpoint, "a\r\nX: y", "{}", {}, {}).ok());
  EXPECT_EQ(server.connections(), 0);
}

}  // namespace
}  // namespace imagebuild::builder
