#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "base/stream.h"

namespace imagebuild {
namespace {

namespace fs = std::filesystem;

class File : public testing::Test {
 protected:
  void SetUp() override {
    Result<TempDir> made = TempDir::create("file-test-");
    ASSERT_TRUE(made.ok());
    dir_.emplace(std::move(*made));
  }
  fs::path path(const char* name) const { return dir_->path() / name; }
  static unsigned mode_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 07777U;
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir_->path()), fs::directory_iterator()));
  }
  std::optional<TempDir> dir_;
};

TEST_F(File, MissingFileIsNotFoundAndNamed) {
  const Result<std::string> result = read_file(path("nothing"), 10);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().message.find("nothing"), std::string::npos);
}

TEST_F(File, ReadsAFileOfExactlyTheLimitAndNoLarger) {
  ASSERT_TRUE(write_file_atomically(path("a"), "1234").ok());
  EXPECT_EQ(*read_file(path("a"), 4), "1234");
  EXPECT_EQ(read_file(path("a"), 3).error().code, ErrorCode::kLimit);
}

TEST_F(File, AFolderIsNoFile) {
  EXPECT_FALSE(read_file(dir_->path(), 10).ok());
}

TEST_F(File, OpenedDescriptorsDoNotReachOtherPrograms) {
  ASSERT_TRUE(write_file_atomically(path("a"), "x").ok());
  const Result<UniqueFd> fd = open_file(path("a"), O_RDONLY);
  ASSERT_TRUE(fd.ok());
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(File, WritesContentAndMode) {
  ASSERT_TRUE(write_file_atomically(path("a"), "secret", 0600).ok());
  EXPECT_EQ(*read_file(path("a"), 100), "secret");
  EXPECT_EQ(mode_of(path("a")), 0600U);
  ASSERT_TRUE(write_file_atomically(path("b"), "").ok());
  EXPECT_EQ(mode_of(path("b")), 0644U);
}

TEST_F(File, ReplacesAFileAndLeavesNothingElse) {
  ASSERT_TRUE(write_file_atomically(path("a"), "old and longer").ok());
  ASSERT_TRUE(write_file_atomically(path("a"), "new").ok());
  EXPECT_EQ(*read_file(path("a"), 100), "new");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, AReaderOfTheOldFileKeepsTheOldContent) {
  ASSERT_TRUE(write_file_atomically(path("a"), "old").ok());
  FileSource old(std::move(*open_file(path("a"), O_RDONLY)));
  ASSERT_TRUE(write_file_atomically(path("a"), "new").ok());
  EXPECT_EQ(*read_all(old, 100), "old");
}

TEST_F(File, FailedWriteLeavesNothingBehind) {
  fs::create_directory(path("taken"));
  std::ofstream(path("taken") / "inside") << "x";
  EXPECT_FALSE(write_file_atomically(path("taken"), "text").ok());
  EXPECT_EQ(entries(), 1U);
  EXPECT_EQ(write_file_atomically(path("no") / "folder", "x").error().code, ErrorCode::kNotFound);
}

TEST(TempDirTest, IsPrivateAndEmptyAndRemovesItself) {
  fs::path path;
  {
    Result<TempDir> dir = TempDir::create("imagebuild-");
    ASSERT_TRUE(dir.ok());
    path = dir->path();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
    EXPECT_TRUE(fs::is_empty(path));
    fs::create_directories(path / "a/b");
    std::ofstream(path / "a/b/c") << "x";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TempDirTest, MovingHandsTheFolderOver) {
  Result<TempDir> made = TempDir::create("imagebuild-");
  ASSERT_TRUE(made.ok());
  const fs::path path = made->path();
  {
    const TempDir owner = std::move(*made);
    EXPECT_EQ(owner.path(), path);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TempDirTest, AssigningRemovesTheFormerFolder) {
  TempDir first = std::move(*TempDir::create("imagebuild-"));
  const fs::path gone = first.path();
  first = std::move(*TempDir::create("imagebuild-"));
  EXPECT_FALSE(fs::exists(gone));
  EXPECT_TRUE(fs::exists(first.path()));
}

TEST(TempDirTest, IsMadeBelowTheParentGiven) {
  const TempDir parent = std::move(*TempDir::create("imagebuild-"));
  const Result<TempDir> child = TempDir::create("child-", parent.path());
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child->path().parent_path(), parent.path());
  EXPECT_EQ(TempDir::create("x", parent.path() / "missing").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace imagebuild
