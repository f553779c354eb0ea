// The parts of RUN's mounts that need no container.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "builder/stage/cache_copies.h"
#include "builder/stage/footprints.h"
#include "builder/stage/limits.h"
#include "builder/stage/mount_way.h"
#include "builder/stage/move_tree.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;

TEST(CacheVariant, IsEmptyForAPlainCacheAndDiffersWithHowItBegins) {
  api::CacheMount plain;
  api::CacheMount owned;
  owned.uid = 7;
  api::CacheMount seeded;
  seeded.from = api::FromContext{};
  EXPECT_EQ(cache_variant(plain, ""), "");
  EXPECT_NE(cache_variant(owned, ""), "");
  EXPECT_NE(cache_variant(seeded, "a"), cache_variant(seeded, "b"));
  EXPECT_NE(cache_variant(seeded, "a"), cache_variant(owned, "a"));
}

TEST(Limits, HaveTheNamesOfDocker) {
  const auto limit = child_limit({"nofile", 10, -1});
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(limit->soft, 10U);
  EXPECT_EQ(limit->hard, ~0ULL);
  EXPECT_EQ(limit_name(limit->resource), "nofile");
  EXPECT_FALSE(child_limit({"files", 1, 1}).ok());
  EXPECT_FALSE(child_limit({"nofile", -1, 10}).ok());
}

TEST(Enclosing, IsTheInnermostMountAbove) {
  const std::vector<WantedMount> mounts = {{"/a", "", MemorySource{}},
                                           {"/a/b", "", MemorySource{}},
                                           {"/a/b/c", "", MemorySource{}},
                                           {"/ab", "", MemorySource{}}};
  EXPECT_EQ(enclosing(mounts, 0), -1);
  EXPECT_EQ(enclosing(mounts, 1), 0);
  EXPECT_EQ(enclosing(mounts, 2), 1);
  EXPECT_EQ(enclosing(mounts, 3), -1);
}

struct TreeMoves : ::testing::Test {
  TreeMoves() : folder(*TempDir::create("tree-moves-")), fd(*open_file(folder.path(), O_RDONLY | O_DIRECTORY)) {}
  TempDir folder;
  UniqueFd fd;
};

TEST_F(TreeMoves, RemoveFoldersHoweverDeepAndFollowNoLink) {
  fs::create_directories(folder.path() / "outside");
  (void)write_file_atomically(folder.path() / "outside/file", "kept");
  fs::path at = folder.path() / "deep";
  fs::create_directory(at);
  const UniqueFd start(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int inner = ::dup(start.get());
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(::mkdirat(inner, "d", 0755), 0);
    ASSERT_EQ(::symlinkat("/", inner, "link"), 0);
    const int next = ::openat(inner, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ::close(inner);
    inner = next;
  }
  ::close(inner);
  fs::create_directory_symlink(folder.path() / "outside", at / "out");
  EXPECT_TRUE(remove_tree(fd.get(), "deep").ok());
  EXPECT_FALSE(fs::exists(at));
  EXPECT_TRUE(fs::exists(folder.path() / "outside/file"));
  EXPECT_TRUE(remove_tree(fd.get(), "nothing").ok());
}

struct FootprintsTest : TreeMoves {
  struct timespec mtime(const fs::path& path) {
    struct stat stat {};
    ::stat((folder.path() / path).c_str(), &stat);
    return stat.st_mtim;
  }
};

TEST_F(FootprintsTest, LeaveNoTraceInSeveralPlacesOfOneFolder) {
  fs::create_directories(folder.path() / "srv/old");
  const struct timespec before[2] = {{1'600'000'000, 5}, {1'600'000'000, 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder.path() / "srv").c_str(), before, 0), 0);
  {
    Footprints footprints(fd.get());
    for (const char* path : {"/srv/a", "/srv/b/c", "/srv/d"}) {
      auto place = footprints.find(path);
      ASSERT_TRUE(place.ok()) << place.error().message;
      ASSERT_TRUE(footprints.make_folder(*place).ok());
    }
    footprints.settle();
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() / "srv"), {}), 1);
  EXPECT_EQ(mtime("srv").tv_sec, 1'600'000'000);
  EXPECT_EQ(mtime("srv").tv_nsec, 5);
}

TEST_F(FootprintsTest, KeepTheTimeThatTheRunGaveAFolder) {
  fs::create_directories(folder.path() / "srv");
  const struct timespec set[2] = {{1'500'000'000, 7}, {1'500'000'000, 7}};
  {
    Footprints footprints(fd.get());
    auto place = footprints.find("/srv/a");
    ASSERT_TRUE(place.ok());
    ASSERT_TRUE(footprints.make_file(*place).ok());
    footprints.settle();
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder.path() / "srv").c_str(), set, 0), 0);
  }
  EXPECT_EQ(mtime("srv").tv_sec, 1'500'000'000);
  EXPECT_FALSE(fs::exists(folder.path() / "srv/a"));
}

}  // namespace
}  // namespace imagebuild::builder
