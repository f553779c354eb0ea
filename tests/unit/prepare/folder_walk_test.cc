#include "builder/prepare/folder_walk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using archive::Node;
using archive::NodeType;

class FolderWalkTest : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& content) {
    fs::create_directories((folder() / path).parent_path());
    std::ofstream(folder() / path) << content;
  }
  fs::path folder() const { return temp_.path(); }
  Result<FolderListing> list(unsigned threads, const std::string& ignore = "") const {
    auto fd = open_file(folder(), O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(fd.ok());
    const auto rules = dockerfile::IgnoreRules::parse(ignore);
    EXPECT_TRUE(rules.ok());
    return list_folder(std::move(*fd), *rules, threads);
  }
  // Many folders, so that there is something for each thread; the names of one file in the first and in the last.
  void write_many() {
    for (int i = 0; i < 24; ++i) {
      const std::string sub = "d" + std::to_string(i) + "/sub";
      for (int j = 0; j < 6; ++j) write(sub + "/" + std::to_string(j), std::to_string(i * j));
      fs::create_symlink("../sub/1", folder() / sub / "link");
      write("d" + std::to_string(i) + " x/y", "beside");
    }
    for (const char* name : {"d9/sub/z", "d0/sub/z", "d23/z", "d0 x/z"}) {
      fs::create_hard_link(folder() / "d20/sub/4", folder() / name);
    }
  }

  TempDir temp_ = std::move(*TempDir::create("folder-walk-test-"));
};

TEST_F(FolderWalkTest, IsTheSameForAnyNumberOfThreads) {
  write_many();
  const char* const ignore = "*/sub/1*\nd1*\n!d10/sub/5\n";
  for (const char* rules : {"", ignore}) {
    const auto one = list(1, rules);
    ASSERT_TRUE(one.ok()) << one.error().message;
    EXPECT_EQ(one->index.find("d20/sub/4")->link, "d0/sub/z");
    EXPECT_EQ(one->index.find("d0/sub/z")->type, NodeType::kFile);
    for (const unsigned threads : {2U, 3U, 8U, 16U, 0U}) {
      const auto several = list(threads, rules);
      ASSERT_TRUE(several.ok()) << several.error().message;
      EXPECT_EQ(several->index.nodes(), one->index.nodes()) << threads << " threads";
      EXPECT_EQ(several->versions, one->versions) << threads << " threads";
    }
  }
}

TEST_F(FolderWalkTest, HasTheFolderOfAnExceptionButNoEmptyOne) {
  write_many();
  const auto listing = list(4, "d2*\n!d20/sub/5\nd4\n!d4/none\n");
  ASSERT_TRUE(listing.ok());
  for (const char* path : {"d20", "d20/sub", "d20/sub/5", "d3"}) EXPECT_NE(listing->index.find(path), nullptr) << path;
  for (const char* path : {"d2", "d21", "d20/sub/2", "d20 x", "d4", "d4/sub"}) {
    EXPECT_EQ(listing->index.find(path), nullptr) << path;
  }
}

TEST_F(FolderWalkTest, SaysWhichVersionOfEachFileItSaw) {
  write_many();
  const auto listing = list(3);
  ASSERT_TRUE(listing.ok());
  std::size_t files = 0;
  for (const auto& [path, node] : listing->index.nodes()) {
    const auto version = listing->versions.find(path);
    EXPECT_EQ(version != listing->versions.end(), node.type == NodeType::kFile) << path;
    if (version == listing->versions.end()) continue;
    ++files;
    struct stat info {};
    ASSERT_EQ(::lstat((folder() / path).c_str(), &info), 0);
    EXPECT_EQ(version->second, archive::FileVersion::of(info)) << path;
    EXPECT_EQ(node.size_bytes, version->second.size_bytes) << path;
  }
  EXPECT_EQ(listing->versions.size(), files);
}

TEST_F(FolderWalkTest, FindsCapabilitiesInEveryFolder) {
  write_many();
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  const std::vector<std::string> set = {"d0/sub/3", "d17/sub/5", "d23/sub/0", "d20/sub/4", "top"};
  write("top", "");
  const auto before = list(4);
  ASSERT_TRUE(before.ok());
  for (const std::string& path : set) {
    if (::setxattr((folder() / path).c_str(), "security.capability", capability.data(), capability.size(), 0) != 0) {
      GTEST_SKIP() << "setting a capability needs root";
    }
  }
  for (const unsigned threads : {1U, 4U}) {
    const auto listing = list(threads);
    ASSERT_TRUE(listing.ok());
    std::vector<std::string> found;
    for (const auto& [path, node] : listing->index.nodes()) {
      if (!node.xattrs.empty()) found.push_back(path);
    }
    // That of a file with several names is with the first of them.
    EXPECT_EQ(found, (std::vector<std::string>{"d0/sub/3", "d0/sub/z", "d17/sub/5", "d23/sub/0", "top"}));
    EXPECT_EQ(listing->index.find("top")->xattrs.at("security.capability"), capability);
    EXPECT_NE(listing->versions.at("top"), before->versions.at("top")) << "a new capability is a new version";
  }
}

// Root reads everything, so it is somebody else for the time of the test.
class AsSomebody {
 public:
  AsSomebody() {
    if (::geteuid() == 0) changed_ = ::seteuid(65534) == 0;
  }
  ~AsSomebody() {
    if (changed_) (void)!::seteuid(0);
  }

 private:
  bool changed_ = false;
};

TEST_F(FolderWalkTest, NamesWhatItCannotRead) {
  write_many();
  fs::permissions(folder(), fs::perms(0755));
  fs::permissions(folder() / "d17/sub", fs::perms::none);
  {
    const AsSomebody somebody;
    for (const unsigned threads : {1U, 4U}) {
      const auto listing = list(threads);
      ASSERT_FALSE(listing.ok());
      EXPECT_NE(listing.error().message.find("d17/sub"), std::string::npos) << listing.error().message;
    }
    const auto without = list(4, "d17/sub");
    EXPECT_TRUE(without.ok()) << "what is left out need not be readable";
  }
  fs::permissions(folder() / "d17/sub", fs::perms::owner_all);
}

TEST_F(FolderWalkTest, LeavesTheWorkingFolderOfTheProgramAlone) {
  write_many();
  const fs::path before = fs::current_path();
  ASSERT_TRUE(list(1).ok());
  ASSERT_TRUE(list(4).ok());
  EXPECT_EQ(fs::current_path(), before);
}

}  // namespace
}  // namespace imagebuild::builder
