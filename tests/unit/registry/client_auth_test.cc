// Who the client says it is, to whom, and what it says when that is not enough.
#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::message_of;
using contract::push;
using contract::reference;
using fakes::FakeRegistry;
using fakes::FakeRegistryOptions;
using fakes::Fault;
using fakes::RegistryAuth;

const std::string kType(oci::media_type::kOciManifest);

void store_image(FakeRegistry& registry, const std::string& repository) {
  registry.add_manifest(repository, "v1", kType, R"({"schemaVersion":2})");
}

class Authorization : public testing::Test {
 protected:
  // A registry with a/b:v1 and c/d:v1, and a client for it.
  Client& start(FakeRegistryOptions options, const std::string& entry = R"({"username":"user","password":"secret"})") {
    registry_ = std::make_unique<FakeRegistry>(std::move(options));
    store_image(*registry_, "a/b");
    store_image(*registry_, "c/d");
    client_ = std::make_unique<Client>(entry.empty() ? bench_.client()
                                                     : bench_.client(bench_.credentials(registry_->host(), entry)));
    return *client_;
  }
  Status pull(const std::string& name = "a/b:v1") {
    const auto pulled = client_->manifest(reference(registry_->host(), name));
    return pulled.ok() ? ok() : Status(pulled.error());
  }
  std::size_t tokens() { return registry_->count("", "/token"); }
  // A refusal that names the registry and the credentials file, and no secret.
  void expect_denied(const Status& status, const std::string& secret) {
    ASSERT_FALSE(status.ok());
    const std::string& message = status.error().message;
    EXPECT_EQ(status.error().code, ErrorCode::kDenied) << message;
    EXPECT_NE(message.find("registry " + registry_->host()), std::string::npos) << message;
    EXPECT_NE(message.find("check the credentials in " + std::string(ClientBench::kCredentialsPath)), std::string::npos)
        << message;
    EXPECT_EQ(message.find(secret), std::string::npos) << message;
  }
  ClientBench bench_;
  std::unique_ptr<FakeRegistry> registry_;
  std::unique_ptr<Client> client_;
};

TEST_F(Authorization, IsNotSentBeforeItIsAskedFor) {
  start({});
  ASSERT_TRUE(pull().ok());
  EXPECT_FALSE(registry_->log().at(0).headers.find("Authorization").has_value());
}

TEST_F(Authorization, BasicIsSentAtOnceWhenTheRegistryIsKnownToWantIt) {
  start({.auth = RegistryAuth::kBasic});
  ASSERT_TRUE(pull().ok());
  EXPECT_EQ(registry_->count("", ""), 2U);
  ASSERT_TRUE(pull().ok());
  EXPECT_EQ(registry_->count("", ""), 3U);
}

TEST_F(Authorization, BasicWithAWrongPasswordIsDenied) {
  start({.auth = RegistryAuth::kBasic}, R"({"username":"user","password":"hunter2"})");
  expect_denied(pull(), "hunter2");
  EXPECT_EQ(registry_->count("", ""), 2U);
}

TEST_F(Authorization, WithoutCredentialsSaysWhereTheyAreLookedFor) {
  for (const RegistryAuth auth : {RegistryAuth::kBasic, RegistryAuth::kBearer}) {
    start({.auth = auth}, "");
    const Status pulled = pull();
    ASSERT_FALSE(pulled.ok());
    EXPECT_EQ(pulled.error().code, ErrorCode::kDenied);
    EXPECT_NE(pulled.error().message.find("there are no credentials for it in "), std::string::npos)
        << pulled.error().message;
  }
}

TEST_F(Authorization, FetchesATokenForTheRepositoryAndTheAction) {
  Client& client = start({.auth = RegistryAuth::kBearer});
  ASSERT_TRUE(pull().ok());
  const auto log = registry_->log();
  ASSERT_EQ(log.size(), 3U);  // Refused, token, answered.
  EXPECT_EQ(log[1].line(), "GET /token");
  EXPECT_EQ(log[1].query.at("service"), "fake");
  EXPECT_EQ(log[1].query.at("scope"), "repository:a/b:pull");
  ASSERT_TRUE(push(client, reference(registry_->host(), "a/b"), "bytes").ok());
  EXPECT_EQ(registry_->log().at(3).query.at("scope"), "repository:a/b:pull,push");
}

TEST_F(Authorization, UsesATokenUntilItExpires) {
  start({.auth = RegistryAuth::kBearer, .token_lifetime_seconds = 300});
  ASSERT_TRUE(pull().ok());
  bench_.pass(std::chrono::seconds(280));
  ASSERT_TRUE(pull().ok());
  EXPECT_EQ(tokens(), 1U);
  bench_.pass(std::chrono::seconds(15));  // Too near to its end.
  registry_->clear_log();
  ASSERT_TRUE(pull().ok());
  EXPECT_EQ(tokens(), 1U);
  EXPECT_EQ(registry_->count("", ""), 2U);  // Nothing was refused in between.
}

TEST_F(Authorization, FetchesAnotherTokenWhenOneIsRefused) {
  start({.auth = RegistryAuth::kBearer});
  ASSERT_TRUE(pull().ok());
  registry_->expire_tokens();
  const Status again = pull();
  ASSERT_TRUE(again.ok()) << message_of(again);
  EXPECT_EQ(tokens(), 2U);
}

TEST_F(Authorization, KeepsATokenForEachRepository) {
  start({.auth = RegistryAuth::kBearer});
  for (const char* name : {"a/b:v1", "c/d:v1", "a/b:v1", "c/d:v1"}) ASSERT_TRUE(pull(name).ok()) << name;
  EXPECT_EQ(tokens(), 2U);
}

TEST_F(Authorization, AsksForBothRepositoriesOfAMount) {
  Client& client = start({.auth = RegistryAuth::kBearer});
  registry_->add_blob("a/b", "bytes");
  const auto from = reference(registry_->host(), "a/b"), to = reference(registry_->host(), "c/d");
  const auto mounted = push(client, to, "bytes", from);
  ASSERT_TRUE(mounted.ok()) << message_of(mounted);
  EXPECT_EQ(*mounted, BlobOutcome::kMounted);
}

TEST_F(Authorization, PullsWithAnAnonymousToken) {
  start({.auth = RegistryAuth::kBearer, .anonymous_pull = true}, "");
  const Status pulled = pull();
  EXPECT_TRUE(pulled.ok()) << message_of(pulled);
}

TEST_F(Authorization, ExchangesAnIdentityTokenWithoutPuttingItIntoAnAddress) {
  start({.auth = RegistryAuth::kBearer}, R"({"identitytoken":"identity"})");
  const Status pulled = pull();
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(registry_->count("POST", "/token"), 1U);
  for (const auto& request : registry_->log()) {
    for (const auto& [name, value] : request.query) EXPECT_EQ(value.find("identity"), std::string::npos) << name;
  }
}

TEST_F(Authorization, TokenRefusedForAWrongPasswordIsDenied) {
  start({.auth = RegistryAuth::kBearer}, R"({"username":"user","password":"hunter2"})");
  expect_denied(pull(), "hunter2");
  EXPECT_EQ(tokens(), 1U);
  EXPECT_TRUE(bench_.waits().empty());
}

TEST_F(Authorization, TriesAFailingTokenServerAgain) {
  start({.auth = RegistryAuth::kBearer});
  registry_->inject({.kind = Fault::Kind::kStatus, .path_part = "/token", .times = 2, .status = 503});
  const Status pulled = pull();
  EXPECT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(tokens(), 3U);
}

TEST_F(Authorization, GivesUpOnATokenServerThatAlwaysFails) {
  start({.auth = RegistryAuth::kBearer});
  registry_->inject({.kind = Fault::Kind::kStatus, .path_part = "/token", .times = 1000, .status = 503});
  const Status pulled = pull();
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(pulled.error().message.find("token server of registry " + registry_->host()), std::string::npos);
  EXPECT_EQ(tokens(), static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST_F(Authorization, NamesASchemeThatItDoesNotKnow) {
  start({});
  registry_->inject({.kind = Fault::Kind::kStatus, .status = 401, .headers = {{"WWW-Authenticate", "Negotiate"}}});
  const Status pulled = pull();
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kDenied);
  EXPECT_NE(pulled.error().message.find("'negotiate'"), std::string::npos) << pulled.error().message;
}

}  // namespace
}  // namespace imagebuild::registry
