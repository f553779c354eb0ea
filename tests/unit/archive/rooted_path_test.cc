#include "archive/rooted_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "archive/path.h"
#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

namespace fs = std::filesystem;

// Both ways to resolve have to agree: the kernel's and our own.
class RootedPath : public testing::TestWithParam<Resolution> {
 protected:
  void SetUp() override {
    Result<TempDir> dir = TempDir::create("archive-test-");
    ASSERT_OK(dir);
    dir_.emplace(std::move(*dir));
    root_ = dir_->path() / "root";
    fs::create_directories(root_ / "a/b/c");
    fs::create_directories(dir_->path() / "outside/b");
    write_text(root_ / "a/file", "file");
    fs::create_symlink("/a/b", root_ / "absolute");
    fs::create_symlink("../../../../outside", root_ / "a/up");
    fs::create_symlink(dir_->path() / "outside", root_ / "host");
    fs::create_symlink("a/b/../b", root_ / "dots");
    fs::create_symlink("loop", root_ / "loop");
    fs::create_symlink("file", root_ / "a/tofile");
    fs::create_symlink("/missing/deep", root_ / "dangling");
    fs::create_symlink("absolute/c", root_ / "chain");
    fd_ = UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ino_t inode_of(int fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status.st_ino;
  }
  ino_t inode_at(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat((root_ / path).c_str(), &status), 0) << path;
    return status.st_ino;
  }

  std::optional<TempDir> dir_;
  fs::path root_;
  UniqueFd fd_;
};

TEST_P(RootedPath, OpensFoldersInsideTheRoot) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "."},           {"a", "a"},        {"a/b/c", "a/b/c"}, {"absolute", "a/b"}, {"absolute/c", "a/b/c"},
      {"dots/c", "a/b/c"}, {"chain", "a/b/c"}};
  for (const auto& [path, real] : cases) {
    const Result<UniqueFd> fd = open_folder(fd_.get(), path, nullptr, GetParam());
    ASSERT_TRUE(fd.ok()) << path << fd.error().message;
    EXPECT_EQ(inode_of(fd->get()), inode_at(real)) << path;
  }
}

TEST_P(RootedPath, NeverLeavesTheRoot) {
  for (const char* path : {"host", "a/up", "host/b", "a/up/b", "dangling", "a/file", "a/tofile", "a/file/x"}) {
    const Result<UniqueFd> fd = open_folder(fd_.get(), path, nullptr, GetParam());
    ASSERT_FALSE(fd.ok()) << path;
    EXPECT_EQ(fd.error().code, ErrorCode::kNotFound) << path;
  }
  const Result<UniqueFd> loop = open_folder(fd_.get(), "loop", nullptr, GetParam());
  ASSERT_FALSE(loop.ok());
  EXPECT_EQ(loop.error().code, ErrorCode::kCorrupt);
  const FolderMade nothing = [](int, const std::string&, const std::string&) { return ok(); };
  for (const char* path : {"loop/x", "a/file", "a/tofile", "a/file/x"}) {
    const Result<UniqueFd> fd = open_folder(fd_.get(), path, nothing, GetParam());
    ASSERT_FALSE(fd.ok()) << path;
    EXPECT_EQ(fd.error().code, ErrorCode::kCorrupt) << path;
  }
}

TEST_P(RootedPath, MakesMissingFoldersBehindLinksInsideTheRoot) {
  std::vector<std::string> made;
  const FolderMade note = [&made](int, const std::string&, const std::string& path) {
    made.push_back(path);
    return ok();
  };
  for (const char* path : {"dangling/x", "a/up", "absolute/new"}) {
    const Result<UniqueFd> fd = open_folder(fd_.get(), path, note, GetParam());
    ASSERT_TRUE(fd.ok()) << path << fd.error().message;
  }
  EXPECT_EQ(made, (std::vector<std::string>{"missing", "missing/deep", "missing/deep/x", "outside", "a/b/new"}));
  EXPECT_TRUE(fs::is_directory(root_ / "missing/deep/x"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_->path() / "outside"), fs::directory_iterator()), 1);
}

TEST_P(RootedPath, OpensBeneathOnlyWithoutLinks) {
  for (const char* path : {"a/file", "a/b", ""}) {
    EXPECT_TRUE(open_beneath(fd_.get(), path, O_RDONLY, GetParam()).ok()) << path;
  }
  for (const char* path : {"a/tofile", "absolute/c", "host", "gone", "loop", "dots"}) {
    EXPECT_FALSE(open_beneath(fd_.get(), path, O_RDONLY, GetParam()).ok()) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, RootedPath, testing::Values(Resolution::kAny, Resolution::kWalk));

TEST(Path, CleansAndSplits) {
  EXPECT_EQ(*clean_path("//./a///b/./c//"), "a/b/c");
  EXPECT_EQ(*clean_path("/"), "");
  EXPECT_FALSE(clean_path("a/..").ok());
  EXPECT_FALSE(clean_path(std::string_view("a\0b", 3)).ok());
  for (const char* path : {"", "a", "a/b", "...", "a b"}) EXPECT_TRUE(is_clean_path(path)) << path;
  for (const char* path : {"/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "../a"})
    EXPECT_FALSE(is_clean_path(path)) << path;
  EXPECT_EQ(split_path("a/b/c").first, "a/b");
  EXPECT_EQ(split_path("a").second, "a");
  EXPECT_TRUE(is_below("a/b", "a"));
  EXPECT_FALSE(is_below("ab", "a"));
  EXPECT_FALSE(is_below("a", "a"));
  EXPECT_TRUE(is_below("a", ""));
  EXPECT_EQ(path_depth("a/b/c"), 3U);
}

}  // namespace
}  // namespace imagebuild::archive
