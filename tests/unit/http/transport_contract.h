// What every HttpTransport does, as a list of named cases: each takes a transport and brings its own server.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "fakes/http_server.h"
#include "http/transport.h"

namespace imagebuild::http {

struct TransportCase {
  std::string name;
  std::function<void(HttpTransport&)> check;
};

namespace transport_contract {

using fakes::Exchange;
using fakes::HttpServer;
using namespace std::chrono_literals;

inline Request request_to(const HttpServer& server, const std::string& path = "/") {
  return {.url = *Url::parse(server.url() + path), .timeouts = {.connect = 10s, .idle = 10s}};
}

inline std::string text_of(Response& response) {
  auto text = read_all(*response.body, 1U << 30);
  return text.ok() ? *text : "error: " + text.error().message;
}

inline void returns_status_headers_and_body(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) {
    EXPECT_EQ(exchange.method, "GET");
    EXPECT_EQ(exchange.path, "/a%2Fb");
    EXPECT_EQ(exchange.query["q"], "b c&d");
    EXPECT_EQ(exchange.headers.find("x-mine"), "yes");
    exchange.respond(404, {{"X-One", "1"}}, "not here");
  });
  Request request = request_to(server, "/a%2Fb");
  request.url = request.url.with_query("q", "b c&d");
  request.headers.set("X-Mine", "yes");
  auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->headers.find("x-one"), "1");
  EXPECT_EQ(text_of(*response), "not here");
}

inline void sends_bodies_and_their_type(HttpTransport& transport) {
  std::string method, type, body;
  const HttpServer server([&](Exchange& exchange) {
    method = exchange.method;
    type = exchange.headers.find("Content-Type").value_or("");
    body = exchange.read_body();
    exchange.respond(201, {}, "made");
  });
  for (const std::string verb : {"POST", "PUT", "PATCH", "DELETE"}) {
    Request request = request_to(server);
    request.method = verb;
    request.headers.set("Content-Type", "application/json");
    request.body = RequestBody::of("{\"verb\":\"" + verb + "\"}");
    auto response = transport.send(request, {});
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 201);
    EXPECT_EQ(text_of(*response), "made");
    EXPECT_EQ(method, verb);
    EXPECT_EQ(type, "application/json");
    EXPECT_EQ(body, "{\"verb\":\"" + verb + "\"}");
  }
}

inline void sends_an_empty_body_where_none_is_given(HttpTransport& transport) {
  std::string length;
  const HttpServer server([&](Exchange& exchange) {
    length = exchange.headers.find("Content-Length").value_or("none");
    exchange.respond(200);
  });
  Request request = request_to(server);
  request.method = "POST";
  const auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(length, "0");
}

// The header and every piece arrive when they are sent, not when the answer is over.
inline void hands_out_pieces_as_they_come(HttpTransport& transport) {
  std::promise<void> first_was_read;
  const HttpServer server([&](Exchange& exchange) {
    exchange.begin(200, {}, {});
    exchange.write_chunk("first\n");
    first_was_read.get_future().wait();
    exchange.write_chunk("second\n");
    exchange.write_chunk("");
  });
  auto response = transport.send(request_to(server), {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  std::array<std::byte, 100> buffer;
  const auto count = response->body->read(buffer);
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 6U);
  first_was_read.set_value();
  EXPECT_EQ(text_of(*response), "second\n");
}

inline void does_not_follow_redirects(HttpTransport& transport) {
  int requests = 0;
  const HttpServer server([&](Exchange& exchange) {
    ++requests;
    exchange.respond(302, {{"Location", "/elsewhere"}}, "there");
  });
  Request request = request_to(server);
  request.headers.set("Authorization", "Bearer secret");
  auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(response->headers.find("Location"), "/elsewhere");
  EXPECT_EQ(text_of(*response), "there");
  EXPECT_EQ(requests, 1);
}

inline void stops_waiting_when_asked(HttpTransport& transport) {
  std::promise<void> asked;
  const HttpServer server([&](Exchange& exchange) {
    asked.set_value();
    exchange.hang();
  });
  std::stop_source stop;
  std::jthread canceller([&] {
    asked.get_future().wait();
    stop.request_stop();
  });
  const auto response = transport.send(request_to(server), stop.get_token());
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kCancelled);
}

inline void stops_reading_when_asked(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, {});
    exchange.write_chunk("x");
    exchange.hang();
  });
  std::stop_source stop;
  auto response = transport.send(request_to(server), stop.get_token());
  ASSERT_TRUE(response.ok()) << response.error().message;
  std::array<std::byte, 10> buffer;
  ASSERT_TRUE(response->body->read(buffer).ok());
  std::jthread canceller([&] { stop.request_stop(); });
  const auto more = response->body->read(buffer);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kCancelled);
}

inline void refuses_to_begin_when_stopped(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  std::stop_source stop;
  stop.request_stop();
  const auto response = transport.send(request_to(server), stop.get_token());
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kCancelled);
}

inline void closes_the_connection_of_a_body_that_is_dropped(HttpTransport& transport) {
  std::promise<void> hung_up;
  const HttpServer server([&](Exchange& exchange) {
    exchange.begin(200, {}, {});
    exchange.write_chunk("x");
    exchange.hang();
    hung_up.set_value();
  });
  {
    const auto response = transport.send(request_to(server), {});
    ASSERT_TRUE(response.ok()) << response.error().message;
  }
  EXPECT_EQ(hung_up.get_future().wait_for(20s), std::future_status::ready);
}

inline void reports_a_body_that_is_cut_short(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) {
    if (exchange.path == "/chunks") {
      exchange.begin(200, {}, {});
      exchange.write_chunk("some");
    } else {
      exchange.begin(200, {}, 100);
      exchange.write("some");
    }
    exchange.drop();
  });
  for (const std::string path : {"/chunks", "/length"}) {
    auto response = transport.send(request_to(server, path), {});
    if (!response.ok()) {
      EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
      continue;
    }
    const auto text = read_all(*response->body, 1000);
    ASSERT_FALSE(text.ok()) << path;
    EXPECT_EQ(text.error().code, ErrorCode::kUnavailable);
  }
}

inline void reports_a_server_that_hangs_up(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.drop(); });
  const auto response = transport.send(request_to(server), {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(response.error().message.find("127.0.0.1"), std::string::npos) << response.error().message;
}

inline void names_the_host_where_nobody_listens(HttpTransport& transport) {
  const Request request = [] {
    const HttpServer server([](Exchange&) {});
    return request_to(server);
  }();
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(response.error().message.find(request.url.host_port()), std::string::npos) << response.error().message;
}

inline void gives_up_on_a_silent_server(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) {
    if (exchange.path == "/body") {
      exchange.begin(200, {}, {});
      exchange.write_chunk("x");
    }
    exchange.hang();
  });
  Request request = request_to(server);
  request.timeouts.idle = 30ms;
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(response.error().message.find("30 ms"), std::string::npos) << response.error().message;

  Request with_body = request_to(server, "/body");
  with_body.timeouts.idle = 500ms;
  auto begun = transport.send(with_body, {});
  ASSERT_TRUE(begun.ok()) << begun.error().message;
  const auto text = read_all(*begun->body, 1000);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ErrorCode::kUnavailable);
}

// A plain server waits for the rest of what to TLS is a greeting.
inline void gives_up_on_a_handshake_that_hangs(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  const Request request{.url = *Url::parse("https://" + server.host() + "/"),
                        .timeouts = {.connect = 50ms, .idle = 60s}};
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(response.error().message.find("within 50 ms"), std::string::npos) << response.error().message;
}

inline void refuses_line_breaks_in_headers(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  Request request = request_to(server);
  request.headers.set("X-Bad", "a\r\nX-Smuggled: b");
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kInvalidInput);
}

inline void carries_large_bodies_both_ways(HttpTransport& transport) {
  const std::string large(3'000'000, 'y');
  const HttpServer server([&](Exchange& exchange) { exchange.respond(200, {}, exchange.read_body()); });
  Request request = request_to(server);
  request.method = "POST";
  request.body = RequestBody::of(large);
  auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(text_of(*response), large);
}

inline void holds_only_a_little_of_a_body_that_nobody_reads(HttpTransport& transport) {
  std::atomic<std::size_t> written = 0;
  const std::string piece(1024 * 1024, 'z');
  const HttpServer server([&](Exchange& exchange) {
    exchange.begin(200, {}, {});
    // More than sockets and the transport may buffer: the writer stands still until the other side reads.
    for (int i = 0; i < 64; ++i, written += piece.size()) exchange.write_chunk(piece);
    exchange.write_chunk("");
  });
  auto response = transport.send(request_to(server), {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  std::array<std::byte, 1> one;
  ASSERT_TRUE(response->body->read(one).ok());
  EXPECT_LT(written.load(), 64 * piece.size());
  std::uint64_t read = 1;
  std::vector<std::byte> buffer(256 * 1024);
  while (true) {
    const auto count = response->body->read(buffer);
    ASSERT_TRUE(count.ok()) << count.error().message;
    if (*count == 0) break;
    read += *count;
  }
  EXPECT_EQ(read, 64 * piece.size());
}

inline void uses_a_connection_again(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, "ok"); });
  for (int i = 0; i < 3; ++i) {
    auto response = transport.send(request_to(server), {});
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(text_of(*response), "ok");
  }
  EXPECT_LE(server.connections(), 2);
}

inline void serves_many_threads_at_once(HttpTransport& transport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, exchange.path); });
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 10; ++j) {
        const std::string path = "/" + std::to_string(i) + "-" + std::to_string(j);
        auto response = transport.send(request_to(server, path), {});
        if (response.ok() && text_of(*response) == path) ++good;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 160);
}

}  // namespace transport_contract

inline std::vector<TransportCase> transport_cases() {
  using namespace transport_contract;
  return {{"ReturnsStatusHeadersAndBody", returns_status_headers_and_body},
          {"SendsBodiesAndTheirType", sends_bodies_and_their_type},
          {"SendsAnEmptyBodyWhereNoneIsGiven", sends_an_empty_body_where_none_is_given},
          {"HandsOutPiecesAsTheyCome", hands_out_pieces_as_they_come},
          {"DoesNotFollowRedirects", does_not_follow_redirects},
          {"StopsWaitingWhenAsked", stops_waiting_when_asked},
          {"StopsReadingWhenAsked", stops_reading_when_asked},
          {"RefusesToBeginWhenStopped", refuses_to_begin_when_stopped},
          {"ClosesTheConnectionOfABodyThatIsDropped", closes_the_connection_of_a_body_that_is_dropped},
          {"ReportsABodyThatIsCutShort", reports_a_body_that_is_cut_short},
          {"ReportsAServerThatHangsUp", reports_a_server_that_hangs_up},
          {"NamesTheHostWhereNobodyListens", names_the_host_where_nobody_listens},
          {"GivesUpOnASilentServer", gives_up_on_a_silent_server},
          {"GivesUpOnAHandshakeThatHangs", gives_up_on_a_handshake_that_hangs},
          {"RefusesLineBreaksInHeaders", refuses_line_breaks_in_headers},
          {"CarriesLargeBodiesBothWays", carries_large_bodies_both_ways},
          {"HoldsOnlyALittleOfABodyThatNobodyReads", holds_only_a_little_of_a_body_that_nobody_reads},
          {"UsesAConnectionAgain", uses_a_connection_again},
          {"ServesManyThreadsAtOnce", serves_many_threads_at_once}};
}

}  // namespace imagebuild::http
