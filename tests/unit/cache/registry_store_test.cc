#include "builder/cache/registry_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "fakes/fake_registry.h"
#include "http/curl_transport.h"
#include "tests/unit/cache/kept_files.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using fakes::FakeRegistry;
using fakes::Fault;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;
const Files kFiles = {
    {"layers/0.tar.gz", "first layer"}, {"layers/1.tar.gz", "second layer"}, {"export.tar", "export"}};

// No test waits.
registry::ClientOptions impatient() {
  registry::ClientOptions options;
  options.seams.sleep = [](std::chrono::milliseconds) {};
  options.timeouts = {.connect = std::chrono::seconds(10), .idle = std::chrono::seconds(10)};
  return options;
}

class RegistryStoreTest : public testing::Test {
 protected:
  explicit RegistryStoreTest(fakes::FakeRegistryOptions options = {}) : registry_(std::move(options)) {}

  std::string tag(const oci::Digest& key) const { return "cache-" + std::string(key.hex()); }
  oci::Reference repository() const { return *oci::Reference::parse(registry_.host() + "/team/cache"); }
  RegistryStore store() { return RegistryStore(client_, repository()); }

  CacheRecord record(const Files& files = kFiles) { return record_of(from_, files); }
  void keep(const CacheRecord& record) {
    const Status kept = store().keep(key_, record, from_, {});
    ASSERT_TRUE(kept.ok()) << kept.error().message;
  }
  // What a build gets; nothing on a miss.
  std::optional<Files> get() {
    RegistryStore it = store();
    const auto found = it.find(key_, {});
    EXPECT_TRUE(found.ok()) << found.error().message;
    if (!found.ok() || !*found) return std::nullopt;
    const auto fetched = it.fetch(**found, to_, {});
    EXPECT_TRUE(fetched.ok()) << fetched.error().message;
    if (!fetched.ok() || !*fetched) {
      EXPECT_FALSE(something_is_left());
      return std::nullopt;
    }
    Files files;
    for (const CachedFile& file : (*found)->files) files[file.path] = text_of(to_ / file.path);
    return files;
  }
  bool something_is_left() const { return fs::exists(to_) && count_in(to_) > 0; }
  std::string manifest() { return registry_.manifest("team/cache", tag(key_)).value_or(""); }
  void put_manifest(const std::string& bytes) {
    registry_.add_manifest("team/cache", tag(key_), std::string(oci::media_type::kOciManifest), bytes);
  }

  FakeRegistry registry_;
  http::CurlTransport transport_{http::CurlOptions{}};
  registry::Client client_{transport_, impatient()};
  const TempDir folder_ = std::move(*TempDir::create("registry-store-test-"));
  const fs::path from_ = folder_.path() / "from";
  const fs::path to_ = folder_.path() / "to";
  const oci::Digest key_ = oci::Digest::of("key");
};

TEST_F(RegistryStoreTest, GivesBackWhatWasKept) {
  const CacheRecord kept = record();
  keep(kept);
  const auto found = store().find(key_, {});
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ(**found, kept);
  EXPECT_EQ(get(), kFiles);
}

TEST_F(RegistryStoreTest, KeepsRecordsWithoutFiles) {
  keep(record({}));
  EXPECT_EQ(get(), Files());
}

TEST_F(RegistryStoreTest, FindsNothingUnderAnUnknownKey) {
  keep(record());
  const auto found = store().find(oci::Digest::of("other"), {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

TEST_F(RegistryStoreTest, FindsNothingInARepositoryThatDoesNotExistYet) {
  const auto found = store().find(key_, {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

TEST_F(RegistryStoreTest, WritesWhatIsThereAlreadyNoSecondTime) {
  keep(record());
  registry_.clear_log();
  keep(record());
  EXPECT_EQ(registry_.count("POST", "/uploads/"), 0U);
}

TEST_F(RegistryStoreTest, SendsContentThatSeveralFilesHaveOnce) {
  keep(record({{"a", "same"}, {"b", "same"}}));
  EXPECT_EQ(registry_.count("POST", "/uploads/"), 3U) << "config, record and one file";
  EXPECT_EQ(get(), (Files{{"a", "same"}, {"b", "same"}}));
}

TEST_F(RegistryStoreTest, WritesTheTagLast) {
  registry_.inject({.method = "PUT", .path_part = "/uploads/", .times = 100, .status = 403});
  const Status kept = store().keep(key_, record(), from_, {});
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(manifest(), "");
}

TEST_F(RegistryStoreTest, SeveralWritersLeaveOneWholeRecord) {
  const CacheRecord kept = record();
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) writers.emplace_back([&] { EXPECT_TRUE(store().keep(key_, kept, from_, {}).ok()); });
  writers.clear();
  EXPECT_EQ(get(), kFiles);
}

TEST_F(RegistryStoreTest, ContinuesADownloadThatBreaks) {
  keep(record());
  registry_.inject(
      {.kind = Fault::Kind::kDropInAnswer, .method = "GET", .path_part = "/blobs/", .times = 2, .bytes = 3});
  EXPECT_EQ(get(), kFiles);
}

TEST_F(RegistryStoreTest, GivesNothingWhenABlobIsGone) {
  const CacheRecord kept = record();
  keep(kept);
  registry_.inject({.method = "GET", .path_part = kept.files[1].digest, .times = 100, .status = 404});
  EXPECT_EQ(get(), std::nullopt);
}

TEST_F(RegistryStoreTest, GivesNothingWhenABlobHasOtherBytes) {
  const CacheRecord kept = record();
  keep(kept);
  registry_.inject({.kind = Fault::Kind::kCorrupt, .method = "GET", .path_part = kept.files[0].digest, .times = 100});
  EXPECT_EQ(get(), std::nullopt);
}

TEST_F(RegistryStoreTest, SaysThatTheRegistryFailsInTheMiddleAndLeavesNothing) {
  const CacheRecord kept = record();
  keep(kept);
  registry_.inject({.method = "GET", .path_part = kept.files[2].digest, .times = 100, .status = 500});
  const auto fetched = store().fetch(kept, to_, {});
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(something_is_left());
}

TEST_F(RegistryStoreTest, SaysOnceThatItFailsAndIsNotAskedAgain) {
  registry_.inject({.times = 1000, .status = 503});
  RegistryStore it = store();
  EXPECT_EQ(it.find(key_, {}).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(it.keep(key_, record(), from_, {}).error().code, ErrorCode::kUnavailable);
  const std::size_t asked = registry_.count("", "");
  const auto found = it.find(oci::Digest::of("other"), {});
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
  const auto fetched = it.fetch(record(), to_, {});
  ASSERT_TRUE(fetched.ok());
  EXPECT_FALSE(*fetched);
  EXPECT_TRUE(it.keep(key_, record(), from_, {}).ok());
  EXPECT_EQ(registry_.count("", ""), asked);
}

TEST_F(RegistryStoreTest, RepairsARecordWhoseBlobIsGone) {
  const CacheRecord kept = record();
  keep(kept);
  registry_.inject({.method = "HEAD", .path_part = kept.files[1].digest, .status = 404});
  registry_.clear_log();
  keep(kept);
  EXPECT_EQ(registry_.count("POST", "/uploads/"), 1U);
}

TEST_F(RegistryStoreTest, TakesNoRecordOfAnotherKey) {
  keep(record());
  registry_.add_manifest("team/cache", tag(oci::Digest::of("other")), std::string(oci::media_type::kOciManifest),
                         manifest());
  const auto found = store().find(oci::Digest::of("other"), {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

TEST_F(RegistryStoreTest, NamesThePlace) {
  EXPECT_EQ(store().name(), "the repository " + registry_.host() + "/team/cache");
}

struct BrokenManifest {
  const char* name;
  std::string (*make)(const std::string& manifest);
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

class BrokenManifestTest : public RegistryStoreTest, public testing::WithParamInterface<BrokenManifest> {};

TEST_P(BrokenManifestTest, IsNoRecord) {
  keep(record());
  put_manifest(GetParam().make(manifest()));
  const auto found = store().find(key_, {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BrokenManifestTest,
    testing::Values(
        BrokenManifest{"Truncated", [](const std::string& text) { return text.substr(0, text.size() / 2); }},
        BrokenManifest{"Empty", [](const std::string&) { return std::string(); }},
        BrokenManifest{"NoLayers",
                       [](const std::string& text) {
                         const std::size_t at = text.find("\"layers\":[") + 10;
                         return text.substr(0, at) + text.substr(text.find(']', at));
                       }},
        BrokenManifest{"AnImage",
                       [](const std::string& text) {
                         return replaced(text, kCacheConfigType, "application/vnd.oci.image.config.v1+json");
                       }},
        BrokenManifest{"OtherRecordType",
                       [](const std::string& text) { return replaced(text, kCacheRecordType, "text/plain"); }},
        BrokenManifest{"FileNotNamed",
                       [](const std::string& text) {
                         return replaced(text, oci::Digest::of("export").hex(), oci::Digest::of("other").hex());
                       }},
        BrokenManifest{"RecordGone",
                       [](const std::string& text) {
                         const std::size_t at = text.find("sha256:", text.find("\"layers\"")) + 7;
                         return std::string(text).replace(at, 64, oci::Digest::of("nowhere").hex());
                       }}),
    [](const auto& row) { return std::string(row.param.name); });

class DeniedTest : public RegistryStoreTest {
 protected:
  DeniedTest() : RegistryStoreTest({.auth = fakes::RegistryAuth::kBasic}) {}
};

TEST_F(DeniedTest, IsAnErrorForReadersAndForWriters) {
  RegistryStore it = store();
  const auto found = it.find(key_, {});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kDenied);
  EXPECT_THAT(found.error().message, HasSubstr(registry_.host()));
  const Status kept = it.keep(key_, record(), from_, {});
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.error().code, ErrorCode::kDenied);
}

TEST_F(RegistryStoreTest, StopsWhenAskedTo) {
  keep(record());
  std::stop_source stop;
  stop.request_stop();
  const auto fetched = store().fetch(record(), to_, stop.get_token());
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(something_is_left());
}

}  // namespace
}  // namespace imagebuild::builder
