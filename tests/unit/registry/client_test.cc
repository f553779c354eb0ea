#include "registry/client.h"

#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::describe;
using contract::message_of;
using contract::opener_of;
using contract::pull;
using contract::push;
using contract::reference;
using contract::some_bytes;
using fakes::FakeRegistry;
using fakes::FakeRegistryOptions;
using fakes::RegistryAuth;

// ------------------------------------------------------------------------ the contract, against registries of all
// kinds
struct Kind {
  std::string name;
  FakeRegistryOptions registry;
  std::uint64_t chunk_bytes = 1000;
};

std::vector<Kind> kinds() {
  return {{.name = "InOnePiece", .registry = {}, .chunk_bytes = 0},
          {.name = "InChunks", .registry = {}},
          {.name = "RelativeLocations", .registry = {.relative_locations = true}},
          {.name = "LargerChunksWanted", .registry = {.min_chunk_bytes = 1700}},
          {.name = "NoChunks", .registry = {.takes_chunks = false}},
          {.name = "NoManifestHead", .registry = {.manifest_head = false}},
          {.name = "Basic", .registry = {.auth = RegistryAuth::kBasic}},
          {.name = "Bearer", .registry = {.auth = RegistryAuth::kBearer}}};
}

class ClientContract : public testing::TestWithParam<std::tuple<Kind, ContractCase>> {};

TEST_P(ClientContract, Holds) {
  const auto& [kind, contract_case] = GetParam();
  FakeRegistry registry(kind.registry);
  ClientBench bench;
  ClientOptions options = bench.options(kind.chunk_bytes);
  options.credentials = bench.password(registry.host(), "secret");
  Client client = bench.client(std::move(options));
  contract_case.check(client, registry.host());
}

INSTANTIATE_TEST_SUITE_P(Table, ClientContract,
                         testing::Combine(testing::ValuesIn(kinds()), testing::ValuesIn(client_contract())),
                         [](const auto& row) {
                           return std::get<0>(row.param).name + "_" + std::get<1>(row.param).name;
                         });

// ------------------------------------------------------------------------------------------ what only the fake can
// show
TEST(Client, AcceptsAllFourManifestTypes) {
  FakeRegistry registry;
  registry.add_manifest("a/b", "v1", std::string(oci::media_type::kOciIndex), R"({"schemaVersion":2,"manifests":[]})");
  ClientBench bench;
  Client client = bench.client();
  ASSERT_TRUE(client.manifest(reference(registry.host(), "a/b:v1")).ok());
  const std::string accept = registry.log().at(0).headers.find("Accept").value_or("");
  for (const auto type : {oci::media_type::kOciIndex, oci::media_type::kOciManifest, oci::media_type::kDockerIndex,
                          oci::media_type::kDockerManifest}) {
    EXPECT_NE(accept.find(type), std::string::npos) << type;
  }
}

TEST(Client, SendsLargeBlobsInChunksAndSmallOnesInOnePut) {
  FakeRegistry registry;
  ClientBench bench;
  Client client = bench.client(bench.options(1000));
  ASSERT_TRUE(push(client, reference(registry.host(), "a/b"), some_bytes(1000, "small")).ok());
  EXPECT_EQ(registry.count("PATCH", ""), 0U);
  EXPECT_EQ(registry.count("PUT", ""), 1U);
  ASSERT_TRUE(push(client, reference(registry.host(), "a/b"), some_bytes(2001, "large")).ok());
  EXPECT_EQ(registry.count("PATCH", ""), 3U);
  EXPECT_EQ(registry.count("PUT", ""), 2U);
  EXPECT_EQ(registry.open_uploads(), 0U);
}

TEST(Client, ClosesTheUploadThatARefusedMountLeaves) {
  FakeRegistry registry({.mounts = false});
  ClientBench bench;
  Client client = bench.client();
  const auto from = reference(registry.host(), "a/from"), to = reference(registry.host(), "a/to");
  registry.add_blob("a/from", "bytes");
  const auto adopted = client.adopt_blob(to, describe("bytes"), from);
  ASSERT_TRUE(adopted.ok()) << message_of(adopted);
  EXPECT_FALSE(adopted->has_value());
  EXPECT_EQ(registry.open_uploads(), 0U);
  const auto pushed = push(client, to, "bytes", from);
  ASSERT_TRUE(pushed.ok()) << message_of(pushed);
  EXPECT_EQ(*pushed, BlobOutcome::kUploaded);
  EXPECT_EQ(registry.open_uploads(), 0U);
}

TEST(Client, DoesNotMountFromAnotherRegistry) {
  FakeRegistry source, target;
  ClientBench bench;
  Client client = bench.client();
  source.add_blob("a/from", "bytes");
  const auto from = reference(source.host(), "a/from"), to = reference(target.host(), "a/to");
  const auto copied = copy_blob(client, from, to, describe("bytes"));
  ASSERT_TRUE(copied.ok()) << message_of(copied);
  EXPECT_EQ(*copied, BlobOutcome::kUploaded);
  EXPECT_EQ(target.blob("a/to", oci::Digest::of("bytes")), "bytes");
  for (const auto& request : target.log()) EXPECT_FALSE(request.query.contains("mount"));
}

TEST(Client, BlobsMayOutliveIt) {
  FakeRegistry registry;
  const std::string bytes = some_bytes(500'000, "long");
  registry.add_blob("a/b", bytes);
  ClientBench bench;
  auto client = std::make_unique<Client>(bench.client());
  auto source = client->blob(reference(registry.host(), "a/b"), describe(bytes));
  ASSERT_TRUE(source.ok()) << message_of(source);
  client.reset();
  const auto text = read_all(**source, 1U << 30);
  ASSERT_TRUE(text.ok()) << message_of(text);
  EXPECT_EQ(*text, bytes);
}

TEST(Client, LeavesAuthorizationBehindWhenABlobIsRedirectedToAnotherHost) {
  const std::string bytes = some_bytes(3000, "stored elsewhere");
  std::vector<std::string> paths;
  std::vector<bool> authorized;
  fakes::HttpServer storage([&](fakes::Exchange& exchange) {
    paths.push_back(exchange.path);
    authorized.push_back(exchange.headers.find("Authorization").has_value());
    exchange.respond(200, {}, bytes);
  });
  FakeRegistry registry({.auth = RegistryAuth::kBasic, .redirect_blobs_to = storage.url() + "/bucket"});
  registry.add_blob("a/b", bytes);
  ClientBench bench;
  Client client = bench.client(bench.password(registry.host(), "secret"));
  EXPECT_EQ(pull(client, reference(registry.host(), "a/b"), describe(bytes)), bytes);
  EXPECT_EQ(paths, std::vector<std::string>{"/bucket/" + oci::Digest::of(bytes).str()});
  EXPECT_EQ(authorized, std::vector<bool>{false});
  EXPECT_TRUE(registry.log().back().headers.find("Authorization").has_value());
}

TEST(Client, StopsWhenItIsToldTo) {
  FakeRegistry registry;
  registry.add_manifest("a/b", "v1", std::string(oci::media_type::kOciManifest), "{}");
  registry.inject({.kind = fakes::Fault::Kind::kStatus, .times = 1000, .status = 503});
  ClientBench bench;
  ClientOptions options = bench.options();
  std::stop_source stop;
  options.seams.sleep = [&stop](std::chrono::milliseconds) { stop.request_stop(); };
  Client client = bench.client(std::move(options));
  const auto pulled = client.manifest(reference(registry.host(), "a/b:v1"), stop.get_token());
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(registry.count("", ""), 1U);
}

}  // namespace
}  // namespace imagebuild::registry
