#include "http/curl_transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <numeric>
#include <thread>

#include "base/file.h"
#include "fakes/http_server.h"

namespace imagebuild::http {
namespace {

using fakes::Exchange;
using fakes::HttpServer;
using fakes::TlsIdentity;
using namespace std::chrono_literals;

// Directly, whatever the environment of the test says.
CurlOptions direct() {
  return {.trust = {}, .proxy = {}};
}

Request request_to(const HttpServer& server, const std::string& path = "/") {
  return {.url = *Url::parse(server.url() + path), .timeouts = {.connect = 10s, .idle = 10s}};
}

// The whole body, or what went wrong.
std::string text_of(const Response& response) {
  auto text = read_all(*response.body, 1U << 30);
  return text.ok() ? *text : "error: " + text.error().message;
}

// `size` bytes that are made while they are read.
class PatternSource final : public ByteSource {
 public:
  explicit PatternSource(std::uint64_t size) : left_(size) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
    std::fill_n(buffer.begin(), count, std::byte{'x'});
    left_ -= count;
    return count;
  }

 private:
  std::uint64_t left_;
};

RequestBody pattern_body(std::uint64_t promised, std::uint64_t real) {
  return {.open = [real]() -> Result<std::unique_ptr<ByteSource>> {
            return std::unique_ptr<ByteSource>(std::make_unique<PatternSource>(real));
          },
          .size_bytes = promised};
}

TEST(CurlTransport, ReturnsStatusHeadersAndBody) {
  const HttpServer server([](Exchange& exchange) {
    EXPECT_EQ(exchange.method, "GET");
    EXPECT_EQ(exchange.query["a"], "b c");
    EXPECT_EQ(exchange.headers.find("x-mine"), "yes");
    exchange.respond(404, {{"X-One", "1"}, {"x-one", "2"}}, "not here");
  });
  CurlTransport transport(direct());
  Request request = request_to(server, "/p?a=b%20c");
  request.headers.set("X-Mine", "yes");
  auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->headers.all("X-ONE"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(text_of(*response), "not here");
}

TEST(CurlTransport, HeadHasNoBodyWhateverTheLengthSays) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {{"Content-Length", "1234"}}, ""); });
  CurlTransport transport(direct());
  Request request = request_to(server);
  request.method = "HEAD";
  auto response = transport.send(request, {});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->headers.find("Content-Length"), "1234");
  EXPECT_EQ(text_of(*response), "");
}

TEST(CurlTransport, ReadsChunkedBodies) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, std::nullopt);
    for (const char* piece : {"one", " two", ""}) exchange.write_chunk(piece);
  });
  CurlTransport transport(direct());
  EXPECT_EQ(text_of(*transport.send(request_to(server), {})), "one two");
}

TEST(CurlTransport, SendsBodiesOfKnownAndUnknownSize) {
  const HttpServer server([](Exchange& exchange) {
    const std::string how = exchange.headers.find("Transfer-Encoding").value_or("length");
    const std::string body = exchange.read_body();
    exchange.respond(200, {}, exchange.method + " " + how + " " + std::to_string(body.size()));
  });
  CurlTransport transport(direct());
  for (const char* method : {"POST", "PUT", "PATCH"}) {
    Request request = request_to(server);
    request.method = method;
    request.body = pattern_body(3'000'000, 3'000'000);
    EXPECT_EQ(text_of(*transport.send(request, {})), std::string(method) + " length 3000000");
    request.body->size_bytes.reset();
    EXPECT_EQ(text_of(*transport.send(request, {})), std::string(method) + " chunked 3000000");
    request.body.reset();
    EXPECT_EQ(text_of(*transport.send(request, {})), std::string(method) + " length 0");
  }
}

TEST(CurlTransport, NeverCompletesContentOfAnotherSizeThanPromised) {
  std::atomic<std::size_t> received = 0;
  const HttpServer server([&](Exchange& exchange) {
    received = exchange.read_body().size();
    exchange.respond(201);
  });
  CurlTransport transport(direct());
  Request request = request_to(server);
  request.method = "PUT";
  request.body = pattern_body(1000, 999);
  EXPECT_EQ(transport.send(request, {}).error().code, ErrorCode::kCorrupt);
  request.body = pattern_body(1000, 1001);
  EXPECT_EQ(transport.send(request, {}).error().code, ErrorCode::kCorrupt);
  EXPECT_LT(received, 1000U);
}

TEST(CurlTransport, ReturnsTheErrorOfTheBodyItself) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  CurlTransport transport(direct());
  Request request = request_to(server);
  request.method = "PUT";
  request.body = RequestBody{.open = []() -> Result<std::unique_ptr<ByteSource>> {
                               return Error{ErrorCode::kNotFound, "the file is gone"};
                             },
                             .size_bytes = 5};
  EXPECT_EQ(transport.send(request, {}).error().message, "the file is gone");
}

TEST(CurlTransport, DoesNotFollowRedirects) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(307, {{"Location", "/else"}}); });
  CurlTransport transport(direct());
  auto response = transport.send(request_to(server), {});
  EXPECT_EQ(response->status, 307);
  EXPECT_EQ(response->headers.find("location"), "/else");
}

TEST(CurlTransport, SeesARefusalBeforeABigBodyIsSent) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(401, {}, "who are you"); });
  CurlTransport transport(direct());
  for (const char* expect : {"100-continue", ""}) {
    Request request = request_to(server);
    request.method = "PUT";
    if (*expect == '\0') request.headers.set("Expect", "");
    request.body = pattern_body(1ULL << 40, 1ULL << 40);  // A terabyte: sent whole, the test would never end.
    auto response = transport.send(request, {});
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 401);
  }
}

TEST(CurlTransport, UsesAConnectionAgain) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, "ok"); });
  CurlTransport transport(direct());
  for (int i = 0; i < 5; ++i) {
    auto response = transport.send(request_to(server), {});
    EXPECT_EQ(text_of(*response), "ok");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(CurlTransport, ClosesTheConnectionOfABodyThatIsDropped) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, 1ULL << 40);
    exchange.hang();
  });
  CurlTransport transport(direct());
  transport.send(request_to(server), {})->body.reset();
  transport.send(request_to(server), {})->body.reset();
  EXPECT_EQ(server.connections(), 2);
}

TEST(CurlTransport, HoldsOnlyALittleOfABodyThatNobodyReads) {
  constexpr std::size_t kPiece = 1U << 20, kPieces = 64;
  std::atomic<std::size_t> written = 0;
  const HttpServer server([&](Exchange& exchange) {
    const std::string piece(kPiece, 'x');
    exchange.begin(200, {}, kPiece * kPieces);
    for (std::size_t i = 0; i < kPieces; ++i, ++written) exchange.write(piece);
  });
  CurlTransport transport(direct());
  auto response = transport.send(request_to(server), {});
  std::byte first{};
  ASSERT_EQ(*response->body->read({&first, 1}), 1U);
  // Another request proves that time has passed for the server; the first body still waits in its socket.
  const HttpServer other([](Exchange& exchange) { exchange.respond(200); });
  ASSERT_TRUE(transport.send(request_to(other), {}).ok());
  EXPECT_LT(written, kPieces);
  EXPECT_EQ(text_of(*response).size(), kPiece * kPieces - 1);
}

TEST(CurlTransport, ReportsABodyThatIsCutShort) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, 1000);
    exchange.write(std::string(400, 'x'));
    exchange.drop();
  });
  CurlTransport transport(direct());
  auto response = transport.send(request_to(server), {});
  StringSink sink;
  const auto copied = copy_stream(*response->body, sink);
  ASSERT_FALSE(copied.ok());
  EXPECT_EQ(copied.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(copied.error().message, server.host() + " closed the connection in the middle of its answer");
  EXPECT_EQ(sink.text().size(), 400U);  // What came before is delivered first: a resume starts there.
}

TEST(CurlTransport, NamesHostAndReasonWhenNobodyListens) {
  std::string host;
  Request request{.url = *Url::parse("http://127.0.0.1/")};
  {
    const HttpServer server([](Exchange&) {});
    host = server.host();
    request = request_to(server);
  }
  CurlTransport transport(direct());
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(response.error().message, "cannot connect to " + host + ": Connection refused");
}

TEST(CurlTransport, ReportsAServerThatHangsUp) {
  const HttpServer server([](Exchange& exchange) { exchange.drop(); });
  CurlTransport transport(direct());
  const auto response = transport.send(request_to(server), {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
}

TEST(CurlTransport, GivesUpOnASilentServer) {
  const HttpServer server([](Exchange& exchange) { exchange.hang(); });
  CurlTransport transport(direct());
  Request request = request_to(server);
  request.timeouts.idle = 50ms;
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(response.error().message, server.host() + " moved no byte for 50 ms");
}

TEST(CurlTransport, RefusesAnEndlessHeader) {
  const HttpServer server([](Exchange& exchange) {
    Headers many;
    for (int i = 0; i < 400; ++i) many.add("X-" + std::to_string(i), std::string(1000, 'x'));
    exchange.respond(200, many);
  });
  CurlTransport transport(direct());
  EXPECT_EQ(transport.send(request_to(server), {}).error().code, ErrorCode::kLimit);
}

TEST(CurlTransport, RefusesLineBreaksInHeaders) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  CurlTransport transport(direct());
  Request request = request_to(server);
  request.headers.set("X-A", "1\r\nX-B: 2");
  EXPECT_EQ(transport.send(request, {}).error().code, ErrorCode::kInvalidInput);
}

TEST(CurlTransport, StopsWaitingForAnAnswerWhenAsked) {
  std::promise<void> asked;
  const HttpServer server([&](Exchange& exchange) {
    asked.set_value();
    exchange.hang();
  });
  CurlTransport transport(direct());
  std::stop_source stop;
  std::jthread stopper([&] {
    asked.get_future().wait();
    stop.request_stop();
  });
  EXPECT_EQ(transport.send(request_to(server), stop.get_token()).error().code, ErrorCode::kCancelled);
}

TEST(CurlTransport, StopsReadingABodyWhenAsked) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, 10);
    exchange.hang();
  });
  CurlTransport transport(direct());
  std::stop_source stop;
  auto response = transport.send(request_to(server), stop.get_token());
  std::jthread stopper([&] { stop.request_stop(); });
  std::byte byte{};
  EXPECT_EQ(response->body->read({&byte, 1}).error().code, ErrorCode::kCancelled);
}

TEST(CurlTransport, ServesManyThreadsAtOnce) {
  const HttpServer server([](Exchange& exchange) {
    const std::string body = exchange.read_body();
    exchange.respond(200, {}, body);
  });
  CurlTransport transport(direct());
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10; ++i) {
          const std::string text(static_cast<std::size_t>(20'000 * t + i), static_cast<char>('a' + t));
          Request request = request_to(server);
          request.method = "POST";
          request.body = RequestBody::of(text);
          auto response = transport.send(request, {});
          if (response.ok() && text_of(*response) == text) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 80);
}

TEST(CurlTransport, BodiesMayOutliveTheTransport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, "still here"); });
  auto transport = std::make_unique<CurlTransport>(direct());
  auto response = transport->send(request_to(server), {});
  transport.reset();
  EXPECT_EQ(text_of(*response), "still here");
}

TEST(CurlTransport, SendsThroughAProxyButNeverForLoopback) {
  const HttpServer proxy([](Exchange& exchange) { exchange.respond(200, {}, "proxied " + exchange.path); });
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, "direct"); });
  CurlTransport transport({.trust = {}, .proxy = {.for_http = proxy.url(), .for_https = {}, .except = "b.example"}});
  const Request outside{.url = *Url::parse("http://a.example/x")};
  EXPECT_EQ(text_of(*transport.send(outside, {})), "proxied http://a.example/x");
  EXPECT_EQ(text_of(*transport.send(request_to(server), {})), "direct");
}

TEST(ProxySettings, AreReadFromTheEnvironmentInEitherCase) {
  for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"}) {
    ::unsetenv(name);
  }
  ::setenv("HTTP_PROXY", "http://a:1", 1);
  ::setenv("https_proxy", "http://b:2", 1);
  ::setenv("NO_PROXY", "c", 1);
  const ProxySettings settings = ProxySettings::from_environment();
  for (const char* name : {"HTTP_PROXY", "https_proxy", "NO_PROXY"}) ::unsetenv(name);
  EXPECT_EQ(settings.for_http, "http://a:1");
  EXPECT_EQ(settings.for_https, "http://b:2");
  EXPECT_EQ(settings.except, "c");
}

// ----------------------------------------------------------------------------------------------------------------- TLS
class CurlTransportTls : public testing::Test {
 protected:
  Result<Response> send(const TlsIdentity& identity, bool trust_ca, bool skip_verify = false) {
    const auto ca_file = folder_->path() / "ca.pem";
    EXPECT_TRUE(write_file_atomically(ca_file, identity.ca_pem).ok());
    server_ = std::make_unique<HttpServer>([](Exchange& exchange) { exchange.respond(200, {}, "secret"); }, identity);
    CurlOptions options = direct();
    options.trust[server_->host()] = {.ca_file = trust_ca ? ca_file : "", .skip_verify = skip_verify};
    CurlTransport transport(std::move(options));
    return transport.send(request_to(*server_), {});
  }
  Result<TempDir> folder_ = TempDir::create("tls");
  std::unique_ptr<HttpServer> server_;
};

TEST_F(CurlTransportTls, TrustsTheGivenAuthority) {
  auto response = send(TlsIdentity::make(), true);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(text_of(*response), "secret");
}

TEST_F(CurlTransportTls, RefusesAnUnknownAuthority) {
  const auto response = send(TlsIdentity::make(), false);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kDenied);
  EXPECT_EQ(response.error().message, "cannot trust " + server_->host() +
                                          ": its TLS certificate is signed by an authority that is not trusted here; "
                                          "add its CA certificate to the registry's settings");
}

TEST_F(CurlTransportTls, RefusesAnExpiredCertificate) {
  const auto response = send(TlsIdentity::make("127.0.0.1", true), true);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().message, "cannot trust " + server_->host() + ": its TLS certificate has expired");
}

TEST_F(CurlTransportTls, RefusesACertificateForAnotherHost) {
  const auto response = send(TlsIdentity::make("registry.example"), true);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().message,
            "cannot trust " + server_->host() + ": its TLS certificate is for another host name");
}

TEST_F(CurlTransportTls, BelievesAnyCertificateOnlyWhenAsked) {
  auto response = send(TlsIdentity::make("registry.example", true), false, true);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(text_of(*response), "secret");
}

TEST_F(CurlTransportTls, SaysWhenAPlainServerIsAskedForTls) {
  HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  server.refuse_noise();
  CurlTransport transport(direct());
  const auto response = transport.send({.url = *Url::parse("https://" + server.host() + "/")}, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().message,
            server.host() + " does not speak TLS; if it is a plain-HTTP registry, mark it insecure");
}

TEST_F(CurlTransportTls, NamesACaFileThatCannotBeRead) {
  CurlOptions options = direct();
  options.trust["127.0.0.1"] = {.ca_file = "/nonexistent/ca.pem", .skip_verify = false};
  CurlTransport transport(std::move(options));
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); }, TlsIdentity::make());
  const auto response = transport.send(request_to(server), {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(response.error().message.find("/nonexistent/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace imagebuild::http
