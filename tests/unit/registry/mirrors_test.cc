// Pulls through mirrors: who is asked, in which order, and what is said when all fail.
#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::describe;
using contract::message_of;
using contract::reference;
using fakes::FakeRegistry;
using fakes::Fault;

const std::string kType(oci::media_type::kOciManifest);
const std::string kManifest = R"({"schemaVersion":2})";

class Mirrors : public testing::Test {
 protected:
  void SetUp() override {
    ClientOptions options = bench_.options();
    for (FakeRegistry* mirror : {&first_, &second_}) {
      ASSERT_TRUE(options.hosts.add_mirror(origin_.host() + "=" + mirror->url()).ok());
    }
    client_ = std::make_unique<Client>(bench_.client(std::move(options)));
    origin_.add_manifest("a/b", "v1", kType, kManifest);
    origin_.add_blob("a/b", "bytes");
  }
  void expect_pulled() {
    const auto pulled = client_->manifest(name());
    ASSERT_TRUE(pulled.ok()) << message_of(pulled);
    EXPECT_EQ(pulled->bytes, kManifest);
  }
  oci::Reference name() { return reference(origin_.host(), "a/b:v1"); }
  // How many requests the first mirror, the second and the registry itself have had.
  std::vector<std::size_t> asked() { return {first_.count("", ""), second_.count("", ""), origin_.count("", "")}; }
  FakeRegistry first_, second_, origin_;
  ClientBench bench_;
  std::unique_ptr<Client> client_;
};

TEST_F(Mirrors, AreAskedBeforeTheRegistry) {
  first_.add_manifest("a/b", "v1", kType, kManifest);
  expect_pulled();
  EXPECT_EQ(asked(), (std::vector<std::size_t>{1, 0, 0}));
}

TEST_F(Mirrors, WithoutTheImageAreFollowedByTheRegistry) {
  expect_pulled();
  EXPECT_EQ(asked(), (std::vector<std::size_t>{1, 1, 1}));
  EXPECT_TRUE(bench_.waits().empty());
  EXPECT_EQ(contract::pull(*client_, name(), describe("bytes")), "bytes");
  EXPECT_EQ(asked(), (std::vector<std::size_t>{2, 2, 2}));
}

TEST_F(Mirrors, ThatFailGetTwoTries) {
  first_.inject({.kind = Fault::Kind::kStatus, .times = 1000, .status = 503});
  second_.inject({.kind = Fault::Kind::kDrop, .times = 1000});
  expect_pulled();
  EXPECT_EQ(first_.count("", ""), 2U);
  EXPECT_EQ(origin_.count("", ""), 1U);
}

TEST_F(Mirrors, ThatRefuseAreFollowedByTheRegistry) {
  for (const int status : {401, 403}) {
    first_.inject({.kind = Fault::Kind::kStatus, .status = status});
    expect_pulled();
  }
}

TEST_F(Mirrors, ThatServeWrongBytesAreNotBelieved) {
  first_.add_manifest("a/b", "v1", kType, kManifest);
  first_.inject({.kind = Fault::Kind::kCorrupt});
  const auto pulled = client_->manifest(reference(origin_.host(), "a/b@" + oci::Digest::of(kManifest).str()));
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(pulled->bytes, kManifest);
}

TEST_F(Mirrors, AreNamedBehindTheRegistrysOwnError) {
  second_.inject({.kind = Fault::Kind::kStatus, .status = 403});
  const auto pulled = client_->manifest(reference(origin_.host(), "a/b:missing"));
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(pulled.error().message.starts_with("there is no image '")) << pulled.error().message;
  EXPECT_NE(pulled.error().message.find(second_.host()), std::string::npos) << pulled.error().message;
}

TEST_F(Mirrors, GetNoPushesAndNoExistenceChecks) {
  const auto pushed = contract::push(*client_, name(), "new bytes");
  ASSERT_TRUE(pushed.ok()) << message_of(pushed);
  ASSERT_TRUE(client_->push_manifest(name(), kType, kManifest).ok());
  ASSERT_TRUE(client_->has_blob(name(), oci::Digest::of("bytes")).ok());
  EXPECT_EQ(first_.count("", "") + second_.count("", ""), 0U);
}

}  // namespace
}  // namespace imagebuild::registry
