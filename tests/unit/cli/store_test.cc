#include "cli/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "cli/spool.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

struct StoreTest : testing::Test {
  TempDir folder = std::move(*TempDir::create("imagebuild-store-test-"));
  Store store = std::move(*Store::open(folder.path() / "store"));
};

TEST_F(StoreTest, NamesALayerTogetherWithEverythingBelowIt) {
  const oci::Digest a = oci::Digest::of("a");
  const oci::Digest b = oci::Digest::of("b");
  EXPECT_THAT(chain_ids({a, b}), ElementsAre(a, oci::Digest::of(a.str() + " " + b.str())));
  EXPECT_NE(chain_ids({a, b}).back(), chain_ids({b, a}).back());
  EXPECT_TRUE(chain_ids({}).empty());
}

TEST_F(StoreTest, RemovesABuildsFolderAtItsEnd) {
  fs::path path;
  {
    const auto build = store.new_build();
    ASSERT_TRUE(build.ok());
    path = build->path();
    fs::create_directories(path / "a/b");
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::is_empty(path.parent_path())) << "the lock is left";
}

TEST_F(StoreTest, BeginsEachBuildInAPartOfTheDiskOfItsOwn) {
  const auto builds = open_file(store.folder() / "builds", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(builds.ok());
  struct statfs file_system {};
  ASSERT_EQ(::fstatfs(builds->get(), &file_system), 0);
  if (file_system.f_type != EXT4_SUPER_MAGIC) GTEST_SKIP() << "only ext4 can be told";
  int flags = 0;
  ASSERT_EQ(::ioctl(builds->get(), FS_IOC_GETFLAGS, &flags), 0);
  EXPECT_NE(flags & FS_TOPDIR_FL, 0);
}

TEST_F(StoreTest, CollectsWhatAKilledBuildLeftAndNothingElse) {
  const auto living = store.new_build();
  ASSERT_TRUE(living.ok());
  const fs::path dead = store.folder() / "builds" / "dead";
  fs::create_directories(dead / "containers/0/root/upper");
  ASSERT_TRUE(write_file_atomically(dead.string() + ".lock", "").ok());
  const oci::Digest half = oci::Digest::of("half");
  const oci::Digest busy = oci::Digest::of("busy");
  fs::create_directories(store.unpacking(half) / "upper");
  fs::create_directories(store.unpacking(busy) / "upper");
  const auto lock = store.lock_layer(busy, {});
  ASSERT_TRUE(lock.ok());

  std::vector<fs::path> removed;
  store.collect_leftovers([&](const fs::path& build) { removed.push_back(build); });
  EXPECT_THAT(removed, ElementsAre(dead));
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_FALSE(fs::exists(dead.string() + ".lock"));
  EXPECT_TRUE(fs::exists(living->path()));
  EXPECT_FALSE(fs::exists(store.unpacking(half)));
  EXPECT_TRUE(fs::exists(store.unpacking(busy)));
}

TEST_F(StoreTest, KeepsItsContentFromOtherUsers) {
  EXPECT_EQ(fs::status(store.folder()).permissions(), fs::perms::owner_all);
}

TEST_F(StoreTest, SaysThatItCannotBeUsed) {
  ASSERT_TRUE(write_file_atomically(folder.path() / "file", "").ok());
  const auto broken = Store::open(folder.path() / "file");
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.error().message, testing::HasSubstr("--store"));
}

TEST_F(StoreTest, OneLockIsHeldByOneAtATime) {
  const fs::path path = folder.path() / "lock";
  std::atomic<int> inside = 0;  // ThreadSanitizer knows nothing of locks on files.
  const auto work = [&] {
    for (int i = 0; i < 5; ++i) {
      const auto lock = LockFile::acquire(path, {});
      ASSERT_TRUE(lock.ok());
      EXPECT_EQ(++inside, 1);
      std::this_thread::yield();
      --inside;
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(StoreTest, WaitingForALockEndsWhenAskedTo) {
  const fs::path path = folder.path() / "lock";
  const auto held = LockFile::acquire(path, {});
  ASSERT_TRUE(held.ok());
  EXPECT_FALSE(LockFile::try_acquire(path)->has_value());
  std::stop_source stop;
  std::thread stopper([&] { stop.request_stop(); });
  const auto lock = LockFile::acquire(path, stop.get_token());
  stopper.join();
  ASSERT_FALSE(lock.ok());
  EXPECT_EQ(lock.error().code, ErrorCode::kCancelled);
}

OpenSource opener_of(const std::string& text) {
  return [text]() -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(text));
  };
}

OpenSource failing_opener() {
  return []() -> Result<std::unique_ptr<ByteSource>> { return Error{ErrorCode::kUnavailable, "gone"}; };
}

TEST_F(StoreTest, SpoolsABlobAheadOfItsTurn) {
  const std::string text(3'000'000, 'x');
  const auto spool = Spool::start(opener_of(text), store.spool_folder());
  ASSERT_TRUE(spool.ok());
  EXPECT_EQ(*read_all(*(*spool)->reader(), text.size()), text);
  EXPECT_TRUE(fs::is_empty(store.spool_folder())) << "its file has a name";
  const auto broken = Spool::start(failing_opener(), store.spool_folder());
  EXPECT_EQ(read_all(*(*broken)->reader(), 1).error().message, "gone");
}

TEST_F(StoreTest, ReadsAheadWithinItsBound) {
  const std::string text(1'000'000, 'y');
  EXPECT_EQ(*read_all(*read_ahead(opener_of(text), 1000), text.size()), text);
  EXPECT_EQ(read_all(*read_ahead(failing_opener(), 1000), 1).error().message, "gone");
  std::vector<std::byte> one(1);
  EXPECT_TRUE(read_ahead(opener_of(text), 1000)->read(one).ok());  // Dropped half-read: must not hang.
}

}  // namespace
}  // namespace imagebuild::cli
