#include "cli/store_contents.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/build_caches.h"
#include "cli/cache_text.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kEverything = INT64_MAX;
constexpr std::int64_t kNothing = 0;

class StoreContentsTest : public testing::Test {
 protected:
  StoreContents contents() { return std::move(*StoreContents::open(store_.folder())); }
  void put(const fs::path& path, std::size_t bytes) {
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomically(path, std::string(bytes, 'x')).ok());
  }
  oci::Digest put_layer(const std::string& name, std::size_t bytes) {
    const oci::Digest chain = oci::Digest::of(name);
    put(store_.layer(chain) / "etc/file", bytes);
    put(store_.index(chain), 10);
    store_.note_use({chain});
    return chain;
  }
  void put_run_cache(const std::string& name, std::size_t bytes) {
    put(store_.caches_folder() / name / "0/file", bytes);
  }
  // A result with a file of its own, used last at `used_s`.
  void put_result(const std::string& name, std::size_t bytes, std::int64_t used_s) {
    const TempDir from = std::move(*TempDir::create("result-"));
    const std::string text = name + std::string(bytes - name.size(), 'x');
    ASSERT_TRUE(write_file_atomically(from.path() / "0.tar", text).ok());
    auto cache = open_own_cache(store_.folder());
    ASSERT_TRUE(cache.ok());
    const oci::Digest key = oci::Digest::of(name);
    const builder::CacheRecord record{name, "{}", {{"0.tar", oci::Digest::of(text).str(), text.size()}}};
    ASSERT_TRUE(cache->keep(key, record, from.path(), {}).ok());
    const timespec times[2] = {{used_s, 0}, {used_s, 0}};
    const fs::path path = cache_folder(store_.folder()) / "records" / key.hex();
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  std::vector<std::string> titles() {
    std::vector<std::string> titles;
    const auto things = contents().list();
    EXPECT_TRUE(things.ok());
    for (const KeptThing& thing : *things) {
      if (thing.kind == KeptKind::kResult) titles.push_back(thing.title);
    }
    return titles;
  }
  std::size_t count(KeptKind kind) {
    const auto things = contents().list();
    EXPECT_TRUE(things.ok());
    return static_cast<std::size_t>(
        std::ranges::count_if(*things, [&](const KeptThing& thing) { return thing.kind == kind; }));
  }

  const TempDir folder_ = std::move(*TempDir::create("store-contents-test-"));
  Store store_ = std::move(*Store::open(folder_.path() / "store"));
};

TEST_F(StoreContentsTest, ListsEveryKindAndSumsItUp) {
  put_layer("base", 1000);
  put_run_cache("cache", 2000);
  put_result("build: RUN make", 3000, 5);
  put_result("build: COPY", 3000, 7);
  const auto things = contents().list();
  ASSERT_TRUE(things.ok());
  ASSERT_EQ(things->size(), 4U);
  EXPECT_EQ(things->at(2).title, "build: COPY") << "what was used last comes first";
  EXPECT_EQ(things->at(3).used_s, 5);
  const auto usage = contents().usage();
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ(usage->bases.count, 1U);
  EXPECT_EQ(usage->bases.bytes, 1010U);
  EXPECT_EQ(usage->run_caches.bytes, 2000U);
  EXPECT_EQ(usage->results.count, 2U);
  EXPECT_GE(usage->results.bytes, 6000U);
}

TEST_F(StoreContentsTest, RemovesEverything) {
  put_layer("base", 1000);
  put_run_cache("cache", 2000);
  put_result("result", 3000, 5);
  const auto pruned = contents().prune(UINT64_MAX, kEverything);
  ASSERT_TRUE(pruned.ok()) << pruned.error().message;
  EXPECT_FALSE(pruned->build_runs);
  EXPECT_GE(pruned->freed_bytes, 6010U);
  EXPECT_EQ(pruned->left_bytes, 0U);
  EXPECT_THAT(*contents().list(), IsEmpty());
  EXPECT_TRUE(fs::is_empty(store_.spool_folder())) << "what was moved away is still there";
  EXPECT_TRUE(fs::is_empty(store_.used_marks_folder()));
}

TEST_F(StoreContentsTest, RemovesByAgeOnlyWhatIsOld) {
  put_layer("base", 1000);
  put_result("old", 3000, 50);
  put_result("new", 3000, 100);
  ASSERT_TRUE(contents().prune(UINT64_MAX, 100).ok());
  EXPECT_THAT(titles(), ElementsAre("new"));
  EXPECT_EQ(count(KeptKind::kBase), 1U);
}

TEST_F(StoreContentsTest, ForgetsWhatItKnowsOfContexts) {
  put(store_.memo("/src"), 10);
  ASSERT_TRUE(contents().prune(UINT64_MAX, kNothing).ok());
  EXPECT_TRUE(fs::exists(store_.memo("/src"))) << "it was used since";
  ASSERT_TRUE(contents().prune(UINT64_MAX, kEverything).ok());
  EXPECT_FALSE(fs::exists(store_.memo("/src")));
}

TEST_F(StoreContentsTest, RemovesBySizeWhatWasNotUsedForLongest) {
  put_result("oldest", 30'000, 1);
  put_result("older", 30'000, 2);
  put_result("new", 30'000, 3);
  put_layer("base", 30'000);
  const auto pruned = contents().prune(65'000, kNothing);
  ASSERT_TRUE(pruned.ok());
  EXPECT_LE(pruned->left_bytes, 65'000U);
  EXPECT_THAT(titles(), ElementsAre("new")) << "the layer was used after all results";
  EXPECT_EQ(count(KeptKind::kBase), 1U);
  ASSERT_TRUE(contents().prune(10, kNothing).ok());
  EXPECT_THAT(*contents().list(), IsEmpty());
}

TEST_F(StoreContentsTest, RemovesNothingWithinTheLimits) {
  put_layer("base", 1000);
  put_result("result", 3000, 5);
  const auto pruned = contents().prune(1'000'000, 5);
  ASSERT_TRUE(pruned.ok());
  EXPECT_EQ(pruned->freed_bytes, 0U);
  EXPECT_EQ(contents().list()->size(), 2U);
}

TEST_F(StoreContentsTest, LeavesWhatARunningBuildCouldUse) {
  put_layer("base", 1000);
  put_run_cache("cache", 2000);
  put_result("result", 3000, 5);
  {
    const auto build = store_.new_build();
    ASSERT_TRUE(build.ok());
    const auto pruned = contents().prune(UINT64_MAX, kEverything);
    ASSERT_TRUE(pruned.ok());
    EXPECT_TRUE(pruned->build_runs);
    EXPECT_EQ(pruned->left_bytes, 3010U);
    EXPECT_TRUE(fs::exists(build->path()));
  }
  EXPECT_FALSE(contents().prune(UINT64_MAX, kEverything)->build_runs);
  EXPECT_THAT(*contents().list(), IsEmpty());
}

TEST_F(StoreContentsTest, ABuildHasTheStoreTogetherWithOthers) {
  const auto one = store_.new_build();
  const auto two = store_.new_build();
  ASSERT_TRUE(one.ok() && two.ok());
  const auto alone = store_.try_lock_alone();
  ASSERT_TRUE(alone.ok());
  EXPECT_FALSE(alone->has_value());
}

TEST(CacheTextTest, ShowsALineForEachThing) {
  const std::vector<KeptThing> things = {
      {KeptKind::kResult, std::string(64, 'a'), "build: RUN make \x1b[2Jall", 1'500'000, 1000},
      {KeptKind::kBase, std::string(64, 'b'), "", 12, 1000 - 3 * 86'400}};
  EXPECT_EQ(list_text(things, 1100),
            "KIND       ID            SIZE       USED      WHAT\n"
            "result     aaaaaaaaaaaa  1.5 MB     1m ago    build: RUN make all\n"
            "base       bbbbbbbbbbbb  12 B       3d ago    a layer of a base image\n");
}

TEST(CacheTextTest, TellsPrograms) {
  EXPECT_THAT(list_json({{KeptKind::kRunCache, "ab", "", 7, 0}}), HasSubstr("\"lastUsed\": \"1970-01-01T00:00:00Z\""));
  EXPECT_THAT(usage_json({{1, 2}, {3, 4}, {5, 6}}), HasSubstr("\"bytes\": 12"));
  EXPECT_THAT(prune_json({1, 2, true}), HasSubstr("\"buildRuns\": true"));
}

TEST(CacheTextTest, SumsUp) {
  EXPECT_EQ(usage_text({{1, 2'000'000}, {2, 5}, {0, 0}}),
            "results      2.0 MB     1 result of steps and stages\n"
            "base images  5 B        2 layers\n"
            "RUN caches   0 B        0 caches of RUN --mount=type=cache\n"
            "total        2.0 MB\n");
}

}  // namespace
}  // namespace imagebuild::cli
