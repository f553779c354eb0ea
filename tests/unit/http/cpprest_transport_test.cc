#include "http/cpprest_transport.h"

#include <gtest/gtest.h>

#include "http/curl_transport.h"
#include "unit/http/cpprest_process.h"
#include "unit/http/transport_contract.h"

namespace imagebuild::http {
namespace {

using fakes::Exchange;
using fakes::HttpServer;
using fakes::TlsIdentity;
using transport_contract::request_to;
using transport_contract::text_of;
using namespace std::chrono_literals;

// ----------------------------------------------------------------------------- the shared list, for both transports
struct Row {
  std::string transport;
  TransportCase contract;
};

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const std::string transport : {"Cpprest", "Curl"}) {
    for (const TransportCase& contract : transport_cases()) rows.push_back({transport, contract});
  }
  return rows;
}

class EveryTransport : public testing::TestWithParam<Row> {};

TEST_P(EveryTransport, KeepsTheContract) {
  if (GetParam().transport == "Curl") {
    CurlTransport transport({.trust = {}, .proxy = {}});
    GetParam().contract.check(transport);
  } else {
    CpprestTransport transport;
    GetParam().contract.check(transport);
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, EveryTransport, testing::ValuesIn(rows()),
                         [](const auto& row) { return row.param.transport + row.param.contract.name; });

// ---------------------------------------------------------------------------------------------------- cpprest alone
TEST(CpprestTransport, RefusesABodyThatIsTooLargeToHold) {
  class Endless final : public ByteSource {
   public:
    Result<std::size_t> read(std::span<std::byte> buffer) override { return buffer.size(); }
  };
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  Request request = request_to(server);
  request.method = "POST";
  request.body = {.open = []() -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<Endless>());
  }};
  CpprestTransport transport;
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kLimit);
  EXPECT_EQ(server.connections(), 0);
}

TEST(CpprestTransport, NeverSendsContentOfAnotherSizeThanPromised) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200); });
  Request request = request_to(server);
  request.method = "PUT";
  request.body = RequestBody::of("four");
  request.body->size_bytes = 5;
  CpprestTransport transport;
  const auto response = transport.send(request, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(server.connections(), 0);
}

TEST(CpprestTransport, SaysThatItCannotReachIpv6Addresses) {
  CpprestTransport transport;
  const auto response = transport.send({.url = *Url::parse("http://[::1]:1/")}, {});
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnsupported);
}

TEST(CpprestTransport, BodiesMayOutliveTheTransport) {
  const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, std::string(500'000, 'b')); });
  auto transport = std::make_unique<CpprestTransport>();
  auto response = transport->send(request_to(server), {});
  transport.reset();
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(text_of(*response).size(), 500'000U);
}

TEST(CpprestTransport, SurvivesManyCancelledStreams) {
  const HttpServer server([](Exchange& exchange) {
    exchange.begin(200, {}, {});
    exchange.write_chunk("event\n");
    exchange.hang();
  });
  CpprestTransport transport;
  for (int i = 0; i < 50; ++i) {
    std::stop_source stop;
    auto response = transport.send(request_to(server), stop.get_token());
    ASSERT_TRUE(response.ok()) << response.error().message;
    const std::jthread canceller([&] { stop.request_stop(); });
    EXPECT_FALSE(read_all(*response->body, 1000).ok());
  }
}

TEST(CpprestTransport, AnswersThatNobodyReadsHoldUpNoOther) {
  const HttpServer server(
      [](Exchange& exchange) { exchange.respond(200, {}, std::string(exchange.path == "/last" ? 4 : 100'000, 'b')); });
  CpprestTransport transport;
  for (int i = 0; i < 50; ++i) {
    auto response = transport.send(request_to(server), {});
    ASSERT_TRUE(response.ok()) << response.error().message;
    response->body.reset();
  }
  auto last = transport.send(request_to(server, "/last"), {});
  ASSERT_TRUE(last.ok()) << last.error().message;
  EXPECT_EQ(text_of(*last), "bbbb");
}

class CpprestTransportTls : public testing::Test {
 protected:
  static Result<Response> ask(const TlsIdentity& identity, CpprestOptions options) {
    const HttpServer server([](Exchange& exchange) { exchange.respond(200, {}, "secret"); }, identity);
    CpprestTransport transport(std::move(options));
    return transport.send(request_to(server), {});
  }
  static void expect_denied(const Result<Response>& response, const std::string& reason) {
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, ErrorCode::kDenied) << response.error().message;
    EXPECT_NE(response.error().message.find(reason), std::string::npos) << response.error().message;
  }
};

TEST_F(CpprestTransportTls, TrustsTheGivenAuthority) {
  const auto identity = TlsIdentity::make();
  const auto response = ask(identity, {.ca_pem = identity.ca_pem});
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 200);
}

TEST_F(CpprestTransportTls, RefusesAnUnknownAuthority) {
  expect_denied(ask(TlsIdentity::make(), {.ca_pem = TlsIdentity::make().ca_pem}), "not trusted");
}

TEST_F(CpprestTransportTls, RefusesAllWhenNoAuthorityIsGivenAndTheSystemHasNoneForIt) {
  EXPECT_EQ(ask(TlsIdentity::make(), {}).error().code, ErrorCode::kDenied);
}

TEST_F(CpprestTransportTls, RefusesAnExpiredCertificate) {
  const auto identity = TlsIdentity::make("127.0.0.1", true);
  expect_denied(ask(identity, {.ca_pem = identity.ca_pem}), "has expired");
}

TEST_F(CpprestTransportTls, RefusesACertificateForAnotherHost) {
  const auto identity = TlsIdentity::make("elsewhere.example");
  expect_denied(ask(identity, {.ca_pem = identity.ca_pem}), "another host");
}

TEST_F(CpprestTransportTls, BelievesAnyCertificateOnlyWhenAsked) {
  EXPECT_TRUE(ask(TlsIdentity::make("elsewhere.example", true), {.skip_verify = true}).ok());
}

TEST_F(CpprestTransportTls, ShowsAClientCertificate) {
  const auto identity = TlsIdentity::make();
  const auto response = ask(
      identity, {.ca_pem = identity.ca_pem, .client_cert_pem = identity.cert_pem, .client_key_pem = identity.key_pem});
  EXPECT_TRUE(response.ok());
}

TEST_F(CpprestTransportTls, ReportsCertificatesAndKeysThatCannotBeRead) {
  const auto identity = TlsIdentity::make();
  const CpprestOptions rows[] = {
      {.ca_pem = "no certificate"},
      {.ca_pem = identity.ca_pem, .client_cert_pem = "no certificate", .client_key_pem = identity.key_pem},
      {.ca_pem = identity.ca_pem, .client_cert_pem = identity.cert_pem, .client_key_pem = "no key"}};
  for (const CpprestOptions& row : rows) {
    const auto response = ask(identity, row);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, ErrorCode::kInvalidInput) << response.error().message;
  }
}

}  // namespace
}  // namespace imagebuild::http
