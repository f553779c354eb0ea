// The client against a registry that fails: what is tried again, how often, and what is said in the end.
#include <gtest/gtest.h>

#include <atomic>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::describe;
using contract::message_of;
using contract::pull;
using contract::push;
using contract::reference;
using contract::some_bytes;
using fakes::FakeRegistry;
using fakes::Fault;

const std::string kManifestType(oci::media_type::kOciManifest);
const std::string kManifest = R"({"schemaVersion":2})";
const std::string kStored = some_bytes(5000, "stored"), kNew = some_bytes(3500, "new");

// ----------------------------------------------------------------------------------------------------- every operation
struct Operation {
  std::string name;
  std::string method, path_part;  // The request that fails in the tests below.
  std::function<Status(Client&, const oci::Reference&)> run;
};

Status status_of(const auto& result) {
  return result.ok() ? ok() : Status(result.error());
}

std::vector<Operation> operations() {
  return {
      {"Manifest", "GET", "/manifests/",
       [](Client& client, const auto& name) { return status_of(client.manifest(name)); }},
      {"Resolve", "HEAD", "/manifests/",
       [](Client& client, const auto& name) { return status_of(client.resolve(name)); }},
      {"Blob", "GET", "/blobs/",
       [](Client& client, const auto& name) { return status_of(client.blob_text(name, describe(kStored))); }},
      {"HasBlob", "HEAD", "/blobs/",
       [](Client& client, const auto& name) { return status_of(client.has_blob(name, oci::Digest::of(kStored))); }},
      {"OpenUpload", "POST", "/blobs/uploads/",
       [](Client& client, const auto& name) { return status_of(push(client, name, kNew)); }},
      {"PushManifest", "PUT", "/manifests/",
       [](Client& client, const auto& name) {
         return status_of(client.push_manifest(name, kManifestType, kManifest + "\n"));
       }},
  };
}

class Operations : public testing::TestWithParam<Operation> {
 protected:
  void SetUp() override {
    registry_.add_manifest("a/b", "v1", kManifestType, kManifest);
    registry_.add_blob("a/b", kStored);
  }
  void fail(int times, int status, http::Headers headers = {}) {
    registry_.inject({.kind = Fault::Kind::kStatus,
                      .method = GetParam().method,
                      .path_part = GetParam().path_part,
                      .times = times,
                      .status = status,
                      .headers = std::move(headers)});
  }
  std::size_t asked() { return registry_.count(GetParam().method, GetParam().path_part); }
  Status run() {
    Client client = bench_.client();
    return GetParam().run(client, reference(registry_.host(), "a/b:v1"));
  }
  FakeRegistry registry_;
  ClientBench bench_;
};

TEST_P(Operations, AreTriedAgainAfterServerErrors) {
  fail(2, 503);
  const Status done = run();
  EXPECT_TRUE(done.ok()) << message_of(done);
  EXPECT_EQ(asked(), 3U);
  EXPECT_EQ(bench_.waits(), (std::vector<long long>{375, 750}));
}

TEST_P(Operations, WaitAsLongAsTheRegistryAsks) {
  fail(1, 429, {{"Retry-After", "7"}});
  const Status done = run();
  EXPECT_TRUE(done.ok()) << message_of(done);
  EXPECT_EQ(bench_.waits(), std::vector<long long>{7000});
}

TEST_P(Operations, GiveUpAfterTheLastTry) {
  fail(1000, 502);
  const Status done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(done.error().message.find(registry_.host()), std::string::npos) << done.error().message;
  EXPECT_NE(done.error().message.find("502"), std::string::npos) << done.error().message;
  EXPECT_EQ(asked(), static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST_P(Operations, AreNotTriedAgainWhenRefused) {
  fail(1000, 403);
  const Status done = run();
  // A registry may refuse HEAD and answer GET.
  if (GetParam().name == "Resolve") {
    EXPECT_TRUE(done.ok()) << message_of(done);
    return;
  }
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kDenied) << done.error().message;
  EXPECT_EQ(asked(), 1U);
  EXPECT_TRUE(bench_.waits().empty());
}

TEST_P(Operations, ReachForAnAbsentRegistryInBoundedTries) {
  std::string nobody;
  {
    const fakes::HttpServer closed([](fakes::Exchange&) {});
    nobody = closed.host();
  }
  Client client = bench_.client();
  const Status done = GetParam().run(client, reference(nobody, "a/b:v1"));
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(done.error().message.find(nobody), std::string::npos) << done.error().message;
  EXPECT_EQ(bench_.transport.sent, http::RetryPolicy().attempts);
}

INSTANTIATE_TEST_SUITE_P(Table, Operations, testing::ValuesIn(operations()),
                         [](const auto& row) { return row.param.name; });

// --------------------------------------------------------------------------------------------------------------- pulls
class FaultyPull : public testing::Test {
 protected:
  void SetUp() override {
    registry_.add_manifest("a/b", "v1", kManifestType, kManifest);
    registry_.add_blob("a/b", kStored);
  }
  void on_blob(Fault::Kind kind, std::size_t bytes, int times = 1) {
    registry_.inject({.kind = kind, .method = "GET", .path_part = "/blobs/", .times = times, .bytes = bytes});
  }
  std::vector<std::string> ranges() {
    std::vector<std::string> all;
    for (const auto& request : registry_.log()) all.push_back(request.headers.find("Range").value_or("none"));
    return all;
  }
  FakeRegistry registry_;
  ClientBench bench_;
  Client client_ = bench_.client();
  oci::Reference name_ = reference(registry_.host(), "a/b:v1");
};

TEST_F(FaultyPull, ContinuesABlobWhereTheConnectionBroke) {
  on_blob(Fault::Kind::kDropInAnswer, 1200);
  on_blob(Fault::Kind::kDropInAnswer, 800);
  EXPECT_EQ(pull(client_, name_, describe(kStored)), kStored);
  EXPECT_EQ(ranges(), (std::vector<std::string>{"none", "bytes=1200-", "bytes=2000-"}));
}

TEST_F(FaultyPull, SkipsWhatItHasWhenTheServerIgnoresRanges) {
  std::atomic<int> asked = 0;
  const fakes::HttpServer server([&asked](fakes::Exchange& exchange) {
    const bool first = asked++ == 0;
    exchange.begin(200, {}, kStored.size());
    exchange.write(first ? kStored.substr(0, 1200) : kStored);
    if (first) exchange.drop();
  });
  EXPECT_EQ(pull(client_, reference(server.host(), "a/b"), describe(kStored)), kStored);
  EXPECT_EQ(asked, 2);
}

TEST_F(FaultyPull, GivesUpOnABlobThatAlwaysBreaks) {
  on_blob(Fault::Kind::kDropInAnswer, 1, 1000);
  const std::string text = pull(client_, name_, describe(kStored));
  EXPECT_TRUE(text.starts_with("error " + std::to_string(static_cast<int>(ErrorCode::kUnavailable)))) << text;
  EXPECT_EQ(registry_.count("GET", "/blobs/"), static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST_F(FaultyPull, NeverEndsWrongBytesCleanly) {
  struct Row {
    const char* name;
    Fault::Kind kind;
    std::size_t bytes;
  };
  for (const Row& row :
       {Row{"a bit is wrong", Fault::Kind::kCorrupt, 0}, Row{"the end is missing", Fault::Kind::kShortAnswer, 3000},
        Row{"everything is missing", Fault::Kind::kShortAnswer, 0}}) {
    on_blob(row.kind, row.bytes);
    auto source = client_.blob(name_, describe(kStored));
    ASSERT_TRUE(source.ok()) << row.name << message_of(source);
    std::array<std::byte, 700> buffer{};
    std::size_t total = 0;
    auto count = (*source)->read(buffer);
    while (count.ok() && *count > 0) {
      total += *count;
      count = (*source)->read(buffer);
    }
    ASSERT_FALSE(count.ok()) << row.name;
    EXPECT_EQ(count.error().code, ErrorCode::kCorrupt) << row.name << count.error().message;
    EXPECT_LT(total, kStored.size()) << row.name;
  }
}

TEST_F(FaultyPull, ReadsAManifestAgainThatBreaksOff) {
  registry_.inject({.kind = Fault::Kind::kDropInAnswer, .method = "GET", .path_part = "/manifests/", .bytes = 3});
  const auto pulled = client_.manifest(name_);
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(pulled->bytes, kManifest);
}

TEST_F(FaultyPull, CountsEveryTryOfAManifestTogether) {
  // Errors and answers that break off in turn are still one operation.
  for (int i = 0; i < 10; ++i) {
    registry_.inject({.kind = Fault::Kind::kStatus, .path_part = "/manifests/", .status = 500});
    registry_.inject({.kind = Fault::Kind::kDropInAnswer, .path_part = "/manifests/", .bytes = 3});
  }
  const auto pulled = client_.manifest(name_);
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(registry_.count("GET", "/manifests/"), static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST_F(FaultyPull, RefusesAManifestThatIsNotWhatItsDigestSays) {
  registry_.inject({.kind = Fault::Kind::kCorrupt, .method = "GET", .path_part = "/manifests/"});
  const auto pulled = client_.manifest(reference(registry_.host(), "a/b@" + oci::Digest::of(kManifest).str()));
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kCorrupt);
}

TEST_F(FaultyPull, RefusesAManifestThatIsTooLarge) {
  registry_.add_manifest("a/b", "large", kManifestType, std::string(oci::kMaxManifestBytes + 1, ' '));
  const auto pulled = client_.manifest(reference(registry_.host(), "a/b:large"));
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kLimit);
}

// -------------------------------------------------------------------------------------------------------------- copies
TEST(FaultyCopy, AsksAnAbsentSourceNoMoreOftenThanAnyOther) {
  FakeRegistry source, target;
  source.add_blob("a/b", kStored);
  source.inject({.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/blobs/", .times = 1000, .status = 503});
  ClientBench bench;
  Client client = bench.client(bench.options(0));
  const auto copied =
      copy_blob(client, reference(source.host(), "a/b"), reference(target.host(), "a/c"), describe(kStored));
  ASSERT_FALSE(copied.ok());
  EXPECT_EQ(copied.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(copied.error().message.find(source.host()), std::string::npos) << copied.error().message;
  EXPECT_EQ(source.count("GET", "/blobs/"), static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST(FaultyCopy, StoresNothingWhenTheSourceIsCorrupt) {
  FakeRegistry source, target;
  source.add_blob("a/b", kStored);
  source.inject({.kind = Fault::Kind::kCorrupt, .method = "GET", .path_part = "/blobs/", .times = 1000});
  ClientBench bench;
  Client client = bench.client();
  const auto copied =
      copy_blob(client, reference(source.host(), "a/b"), reference(target.host(), "a/c"), describe(kStored));
  ASSERT_FALSE(copied.ok());
  EXPECT_EQ(copied.error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(target.blob("a/c", oci::Digest::of(kStored)).has_value());
}

}  // namespace
}  // namespace imagebuild::registry
