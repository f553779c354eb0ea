#include "builder/cache/registry_contents.h"

#include <gtest/gtest.h>

#include "builder/cache/registry_store.h"
#include "fakes/fake_registry.h"
#include "http/curl_transport.h"
#include "tests/unit/cache/kept_files.h"

namespace imagebuild::builder {
namespace {

using Files = std::map<std::string, std::string>;

class RegistryContentsTest : public testing::Test {
 protected:
  explicit RegistryContentsTest(fakes::FakeRegistryOptions options = {}) : registry_(std::move(options)) {}

  static registry::ClientOptions impatient() {
    registry::ClientOptions options;
    options.seams.sleep = [](std::chrono::milliseconds) {};
    return options;
  }
  oci::Reference repository() const { return *oci::Reference::parse(registry_.host() + "/team/cache"); }

  void keep(const std::string& title, const Files& files, std::chrono::seconds at) {
    RegistryStore store(client_, repository(), [at] { return WallTime(at); });
    CacheRecord record = record_of(folder_.path(), files);
    record.title = title;
    const Status kept = store.keep(oci::Digest::of(title), record, folder_.path(), {});
    ASSERT_TRUE(kept.ok()) << kept.error().message;
  }
  RegistryContents contents() {
    auto read = RegistryContents::read(client_, repository(), {});
    EXPECT_TRUE(read.ok()) << read.error().message;
    return std::move(read).value();
  }
  // "title used", the last used one first.
  std::vector<std::string> list() {
    std::vector<std::string> lines;
    const std::vector<CacheEntry> entries = *contents().entries();
    for (const CacheEntry& entry : entries) {
      lines.push_back(entry.title + " " + std::to_string(entry.used_s));
      EXPECT_EQ(entry.key, oci::Digest::of(entry.title).hex());
    }
    return lines;
  }

  fakes::FakeRegistry registry_;
  http::CurlTransport transport_{http::CurlOptions{}};
  registry::Client client_{transport_, impatient()};
  const TempDir folder_ = std::move(*TempDir::create("registry-contents-test-"));
};

using Lines = std::vector<std::string>;
using std::chrono::hours;
using std::chrono::seconds;

TEST_F(RegistryContentsTest, OfARepositoryThatDoesNotExistAreNone) {
  EXPECT_EQ(list(), Lines());
  EXPECT_EQ(contents().usage().bytes, 0U);
}

TEST_F(RegistryContentsTest, AreListedTheLastUsedFirst) {
  keep("old", {{"a", "1"}}, seconds(100));
  keep("new", {{"a", "2"}}, seconds(300));
  keep("middle", {}, seconds(200));
  EXPECT_EQ(list(), (Lines{"new 300", "middle 200", "old 100"}));
}

TEST_F(RegistryContentsTest, AreNotOtherTags) {
  keep("mine", {}, seconds(100));
  for (const std::string& tag :
       std::vector<std::string>{"latest", "cache-", "cache-v1", "cache-" + std::string(64, '0')}) {
    registry_.add_manifest("team/cache", tag, std::string(oci::media_type::kOciManifest), "{}");
  }
  const auto moved = registry_.manifest("team/cache", "cache-" + std::string(oci::Digest::of("mine").hex()));
  registry_.add_manifest("team/cache", "cache-" + std::string(64, '1'), std::string(oci::media_type::kOciManifest),
                         moved.value_or(""));
  EXPECT_EQ(list(), Lines{"mine 100"});
  EXPECT_TRUE(contents().prune({0, 0}).ok());
  EXPECT_TRUE(registry_.manifest("team/cache", "latest"));
}

TEST_F(RegistryContentsTest, CountWhatResultsShareOnce) {
  keep("one", {{"a", "shared"}, {"b", "own"}}, seconds(100));
  const std::uint64_t alone = contents().usage().bytes;
  keep("two", {{"a", "shared"}}, seconds(100));
  const CacheUsage both = contents().usage();
  EXPECT_EQ(both.records, 2U);
  EXPECT_EQ(both.blobs, 4U) << "two files and two records";
  const std::vector<CacheEntry> entries = *contents().entries();
  EXPECT_EQ(both.bytes, entries[0].size_bytes + entries[1].size_bytes - std::string("shared").size());
  EXPECT_GT(both.bytes, alone);
}

TEST_F(RegistryContentsTest, GoWhenTheyWereNotUsedForLong) {
  keep("old", {{"a", "1"}}, seconds(100));
  keep("new", {{"a", "2"}}, seconds(300));
  const auto freed = contents().prune({UINT64_MAX, 300});
  ASSERT_TRUE(freed.ok()) << freed.error().message;
  EXPECT_GT(*freed, 0U);
  EXPECT_EQ(list(), Lines{"new 300"});
}

TEST_F(RegistryContentsTest, GoTheLongestUnusedFirstUntilTheSizeHolds) {
  keep("old", {{"a", std::string(1000, '1')}}, seconds(100));
  keep("middle", {{"a", std::string(1000, '2')}}, seconds(200));
  keep("new", {{"a", std::string(1000, '3')}}, seconds(300));
  const std::uint64_t all = contents().usage().bytes;
  const auto freed = contents().prune({all - 1, 0});
  ASSERT_TRUE(freed.ok()) << freed.error().message;
  EXPECT_EQ(list(), (Lines{"new 300", "middle 200"}));
  EXPECT_EQ(contents().usage().bytes, all - *freed);
}

// Builds that find a result and keep it again make it young, and no new manifest every time.
TEST_F(RegistryContentsTest, AreUsedWhenTheyWereKeptLast) {
  keep("result", {{"a", "1"}}, seconds(0));
  keep("result", {{"a", "1"}}, hours(23));
  EXPECT_EQ(list(), Lines{"result 0"});
  EXPECT_EQ(registry_.count("PUT", "/manifests/"), 1U);
  keep("result", {{"a", "1"}}, hours(25));
  EXPECT_EQ(list(), Lines{"result 90000"});
}

class RegistryThatRemovesNothing : public RegistryContentsTest {
 protected:
  RegistryThatRemovesNothing() : RegistryContentsTest({.removes = false}) {}
};

TEST_F(RegistryThatRemovesNothing, SaysSo) {
  keep("old", {}, seconds(100));
  const auto freed = contents().prune({0, 0});
  ASSERT_FALSE(freed.ok());
  EXPECT_EQ(freed.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(list(), Lines{"old 100"});
}

}  // namespace
}  // namespace imagebuild::builder
