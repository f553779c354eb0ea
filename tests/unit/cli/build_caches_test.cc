#include "cli/build_caches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "http/curl_transport.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BuildCachesTest : public testing::Test {
 protected:
  BuildCachesTest() {
    options_.store = folder_.path() / "store";
    options_.source.context = folder_.path();
  }
  CacheSpec folder(const std::string& name) { return {CacheSpec::Kind::kFolder, folder_.path() / name, std::nullopt}; }
  BuildCaches open() {
    auto caches = BuildCaches::open(options_, client_);
    EXPECT_TRUE(caches.ok()) << caches.error().message;
    return std::move(*caches);
  }
  static std::vector<std::string> names(const std::vector<builder::CacheStore*>& stores) {
    std::vector<std::string> names;
    for (const builder::CacheStore* store : stores) names.push_back(store->name());
    return names;
  }
  std::string name_of(const fs::path& path) const { return "the cache folder " + (folder_.path() / path).string(); }

  const TempDir folder_ = std::move(*TempDir::create("build-caches-test-"));
  http::CurlTransport transport_{http::CurlOptions{}};
  registry::Client client_{transport_, {}};
  BuildOptions options_;
};

TEST_F(BuildCachesTest, TheStoresOwnComesFirst) {
  fs::create_directory(folder_.path() / "from");
  options_.cache_from = {folder("from"),
                         {CacheSpec::Kind::kRegistry, {}, *oci::Reference::parse("registry.corp/team/cache")}};
  options_.cache_to = {folder("to")};
  const BuildCaches caches = open();
  EXPECT_THAT(names(caches.places().from),
              ElementsAre(name_of("store/cache"), name_of("from"), "the repository registry.corp/team/cache"));
  EXPECT_THAT(names(caches.places().to), ElementsAre(name_of("store/cache"), name_of("to")));
  EXPECT_THAT(caches.warnings(), IsEmpty());
}

TEST_F(BuildCachesTest, WithoutTheCacheNothingIsReadButAllIsWritten) {
  options_.cache_from = {folder("from")};
  options_.cache_to = {folder("to")};
  options_.no_cache = true;
  const BuildCaches caches = open();
  EXPECT_THAT(caches.places().from, IsEmpty());
  EXPECT_THAT(names(caches.places().to), ElementsAre(name_of("store/cache"), name_of("to")));
}

TEST_F(BuildCachesTest, AFolderThatIsNotThereIsNotMade) {
  options_.cache_from = {folder("from")};
  const BuildCaches caches = open();
  EXPECT_THAT(names(caches.places().from), ElementsAre(name_of("store/cache")));
  EXPECT_THAT(caches.warnings(), ElementsAre(HasSubstr("does not exist")));
  EXPECT_FALSE(fs::exists(folder_.path() / "from"));
}

TEST_F(BuildCachesTest, AnotherDockerfileIsAnotherBuild) {
  const std::string one = open().places().scope;
  EXPECT_EQ(open().places().scope, one);
  options_.source.dockerfile = "other";
  EXPECT_NE(open().places().scope, one);
}

}  // namespace
}  // namespace imagebuild::cli
