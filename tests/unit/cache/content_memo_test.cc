#include "builder/cache/content_memo.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>

#include "tests/unit/cache/kept_files.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

struct stat stat_of(const fs::path& path) {
  struct stat stat {};
  EXPECT_EQ(::stat(path.c_str(), &stat), 0) << path;
  return stat;
}

void put_time_back(const fs::path& path, const struct stat& before) {
  set_time(path, before.st_mtim);
}

// Writes into the file; it keeps its inode.
void overwrite(const fs::path& path, const std::string& content) {
  const auto fd = open_file(path, O_WRONLY | O_TRUNC);
  ASSERT_TRUE(fd.ok());
  ASSERT_EQ(::write(fd->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
}

// Two files of one size, looked at an hour after they were made.
class ContentMemoTest : public testing::Test {
 protected:
  void SetUp() override {
    put_text(context / "dir/file", "one");
    put_text(context / "other", "two");
    restart();
  }
  void restart() {
    auto opened = ContentMemo::open({context, file, [this] { return system_clock_now() + ahead; }, true});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    memo = std::move(*opened);
  }
  void next_build() {
    ASSERT_TRUE(memo->save().ok());
    restart();
  }
  Result<oci::Digest> look(const std::string& path, std::uint64_t size_bytes = 3) {
    archive::Node node;
    node.path = path;
    node.size_bytes = size_bytes;
    return memo->digest_of(node);
  }
  void expect(const std::string& path, const std::string& content, bool reads, const std::string& when = "") {
    const std::size_t before = memo->files_read();
    const auto digest = look(path, content.size());
    ASSERT_TRUE(digest.ok()) << when << ": " << digest.error().message;
    EXPECT_EQ(*digest, oci::Digest::of(content)) << path << " " << when;
    EXPECT_EQ(memo->files_read() - before, reads ? 1U : 0U) << path << " " << when;
  }
  // Until the file system's time has gone on; it moves every few milliseconds.
  void wait_for_next_tick() {
    const timespec before = stat_of(context / "dir/file").st_ctim;
    timespec now = before;
    while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec) {
      put_text(folder.path() / "probe", "");
      now = stat_of(folder.path() / "probe").st_ctim;
    }
  }

  TempDir folder = std::move(*TempDir::create("imagebuild-content-memo-test-"));
  fs::path context = folder.path() / "context";
  fs::path file = folder.path() / "memos/memo";
  std::chrono::system_clock::duration ahead = hours(1);
  std::unique_ptr<ContentMemo> memo;
};

TEST_F(ContentMemoTest, ReadsAFileOnce) {
  expect("dir/file", "one", true);
  expect("dir/file", "one", false, "in the same build");
  next_build();
  expect("dir/file", "one", false, "in the next build");
  expect("other", "two", true, "that nobody asked for before");
  next_build();
  expect("dir/file", "one", false, "in a third build");
  expect("other", "two", false, "in a third build");
}

struct FileChange {
  const char* name;
  std::function<void(const fs::path& context)> change;
  std::string content;  // Of dir/file afterwards.
};
void PrintTo(const FileChange& row, std::ostream* out) {
  *out << row.name;
}

class AfterAChange : public ContentMemoTest, public testing::WithParamInterface<std::tuple<FileChange, bool>> {};

TEST_P(AfterAChange, ReadsTheFileAgain) {
  const auto& [row, in_next_build] = GetParam();
  expect("dir/file", "one", true);
  expect("other", "two", true);
  if (in_next_build) next_build();
  wait_for_next_tick();
  row.change(context);
  expect("dir/file", row.content, true, "after the change");
  if (in_next_build) next_build();
  expect("dir/file", row.content, false, "once it is known");
}

const FileChange kFileChanges[] = {
    {"OtherContentOfTheSameSizeWithTheOldTime",
     [](const fs::path& context) {
       const struct stat before = stat_of(context / "dir/file");
       overwrite(context / "dir/file", "two");
       put_time_back(context / "dir/file", before);
     },
     "two"},
    {"OtherSize", [](const fs::path& context) { overwrite(context / "dir/file", "three"); }, "three"},
    {"AnotherFileRenamedToItWithTheOldTime",
     [](const fs::path& context) {
       put_time_back(context / "other", stat_of(context / "dir/file"));
       fs::rename(context / "other", context / "dir/file");
     },
     "two"},
    {"AHardLinkToAnotherFile",
     [](const fs::path& context) {
       fs::remove(context / "dir/file");
       fs::create_hard_link(context / "other", context / "dir/file");
     },
     "two"},
    {"AFolderOnTheWayReplaced",
     [](const fs::path& context) {
       put_text(context / "new/file", "two");
       put_time_back(context / "new/file", stat_of(context / "dir/file"));
       fs::rename(context / "dir", context / "old");
       fs::rename(context / "new", context / "dir");
     },
     "two"},
    {"AnotherMode", [](const fs::path& context) { fs::permissions(context / "dir/file", fs::perms::owner_all); },
     "one"},
    {"AnotherTime",
     [](const fs::path& context) {
       set_time(context / "dir/file", timespec{1, 0});
     },
     "one"},
    {"AnotherNameMore", [](const fs::path& context) { fs::create_hard_link(context / "dir/file", context / "name"); },
     "one"},
    {"Swapped",
     [](const fs::path& context) {
       fs::rename(context / "other", context / "third");
       fs::rename(context / "dir/file", context / "other");
       fs::rename(context / "third", context / "dir/file");
     },
     "two"},
};
INSTANTIATE_TEST_SUITE_P(Files, AfterAChange, testing::Combine(testing::ValuesIn(kFileChanges), testing::Bool()),
                         [](const auto& row) {
                           return std::string(std::get<0>(row.param).name) +
                                  (std::get<1>(row.param) ? "BeforeTheNextBuild" : "MeanwhileBuilding");
                         });

TEST_F(ContentMemoTest, AnswersForTheVersionThatWasListed) {
  archive::Node node;
  node.path = "dir/file";
  node.size_bytes = 3;
  const auto listed = archive::FileVersion::of(stat_of(context / "dir/file"));
  ASSERT_TRUE(memo->digest_of(node, listed).ok());
  EXPECT_EQ(memo->files_read(), 1U) << "what nobody has read yet is read";
  next_build();
  overwrite(context / "dir/file", "two");
  const auto before = memo->digest_of(node, listed);
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(*before, oci::Digest::of("one"));
  EXPECT_EQ(memo->files_read(), 0U);
  expect("dir/file", "two", true, "as it is now");
  const auto now = memo->digest_of(node, archive::FileVersion::of(stat_of(context / "dir/file")));
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(*now, oci::Digest::of("two"));
}

TEST_F(ContentMemoTest, KnowsAnotherNameOfAFileItHasRead) {
  fs::create_hard_link(context / "dir/file", context / "name");
  expect("dir/file", "one", true);
  expect("name", "one", false);
}

struct Age {
  const char* name;
  std::chrono::nanoseconds since_change;
  bool is_remembered;
};
void PrintTo(const Age& row, std::ostream* out) {
  *out << row.name;
}

class AgeOfAFile : public ContentMemoTest, public testing::WithParamInterface<Age> {};

// Within the tick of a clock, or while a page of a mapped file is dirty, content changes and the change time does not.
TEST_P(AgeOfAFile, DecidesWhetherItIsRemembered) {
  const timespec changed = stat_of(context / "dir/file").st_ctim;
  const auto now =
      std::chrono::seconds(changed.tv_sec) + std::chrono::nanoseconds(changed.tv_nsec) + GetParam().since_change;
  auto opened = ContentMemo::open({context, file, [&] { return WallTime(now); }, true});
  ASSERT_TRUE(opened.ok());
  memo = std::move(*opened);
  expect("dir/file", "one", true);
  expect("dir/file", "one", !GetParam().is_remembered, "the second time");
  ASSERT_TRUE(memo->save().ok());
  restart();
  expect("dir/file", "one", !GetParam().is_remembered, "in the next build");
}

using std::chrono::nanoseconds;
INSTANTIATE_TEST_SUITE_P(Rows, AgeOfAFile,
                         testing::Values(Age{"FromTheFuture", -hours(1), false},
                                         Age{"TheSameTick", nanoseconds(0), false}, Age{"AMoment", seconds(2), false},
                                         Age{"NearlySettled", ContentMemo::kSettled - nanoseconds(1), false},
                                         Age{"Settled", ContentMemo::kSettled, true},
                                         Age{"Old", std::chrono::minutes(30), true}),
                         [](const auto& row) { return row.param.name; });

TEST_F(ContentMemoTest, ForgetsEverythingWhenTheClockWasSetBack) {
  expect("dir/file", "one", true);
  expect("other", "two", true);
  ahead -= seconds(10);
  expect("dir/file", "one", true, "in the same build");
  ahead += seconds(20);
  expect("other", "two", true, "though the clock went on");
  next_build();
  expect("other", "two", false, "in the next build");
  ahead -= seconds(10);
  restart();
  expect("other", "two", true, "in a build before the last one");
}

TEST_F(ContentMemoTest, IsAnErrorForAFileThatIsNotWhatWasListed) {
  EXPECT_EQ(look("other", 4).error().code, ErrorCode::kInvalidInput) << "another size";
  fs::remove(context / "other");
  EXPECT_EQ(look("other").error().code, ErrorCode::kNotFound);
  fs::create_directory(context / "other");
  EXPECT_EQ(look("other").error().code, ErrorCode::kInvalidInput);
  fs::rename(context / "dir", context / "real");
  fs::create_directory_symlink("real", context / "dir");
  EXPECT_FALSE(look("dir/file").ok()) << "through a link";
}

TEST_F(ContentMemoTest, CountsADamagedFileAsNone) {
  expect("dir/file", "one", true);
  ASSERT_TRUE(memo->save().ok());
  const std::string whole = text_of(file);
  ASSERT_EQ(whole.size(), 56U + 64U + 32U);
  std::vector<std::string> damaged = {"", "x", whole.substr(0, 87), whole.substr(0, whole.size() - 1), whole + "x"};
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string one_bit = whole;
    one_bit[at] = static_cast<char>(one_bit[at] ^ 1);
    damaged.push_back(std::move(one_bit));
  }
  for (std::size_t i = 0; i < damaged.size(); ++i) {
    put_text(file, damaged[i]);
    restart();
    expect("dir/file", "one", true, "damage " + std::to_string(i));
  }
  put_text(file, whole);
  restart();
  expect("dir/file", "one", false, "undamaged");
}

TEST_F(ContentMemoTest, CountsAnotherFoldersFileAsNone) {
  expect("dir/file", "one", true);
  ASSERT_TRUE(memo->save().ok());
  fs::rename(context, folder.path() / "elsewhere");
  context = folder.path() / "elsewhere";
  restart();
  expect("dir/file", "one", true);
}

TEST_F(ContentMemoTest, WorksWithoutAFile) {
  file.clear();
  restart();
  expect("dir/file", "one", true);
  expect("dir/file", "one", false, "in the same build");
  EXPECT_TRUE(memo->save().ok());
  file = context;  // A folder.
  restart();
  expect("dir/file", "one", true);
  EXPECT_FALSE(memo->save().ok());
}

TEST_F(ContentMemoTest, DropsWhatNobodyAsksForWhenThatIsMost) {
  const auto name = [](int number) { return "many/" + std::to_string(number); };
  for (int i = 0; i < 5; ++i) put_text(context / name(i), "one");
  for (int i = 0; i < 5; ++i) expect(name(i), "one", true);
  next_build();
  for (int i = 0; i < 3; ++i) expect(name(i), "one", false);
  next_build();
  for (int i = 0; i < 5; ++i) expect(name(i), "one", false, "three of five were used");
  next_build();
  next_build();
  for (int i = 0; i < 2; ++i) expect(name(i), "one", false, "a build asked for nothing");
  next_build();
  expect(name(0), "one", false);
  expect(name(4), "one", true, "two of five were used");
}

TEST_F(ContentMemoTest, TwoBuildsLeaveOneWholeFile) {
  const auto other = ContentMemo::open({context, file, [this] { return system_clock_now() + ahead; }, true});
  ASSERT_TRUE(other.ok());
  archive::Node node;
  node.path = "other";
  node.size_bytes = 3;
  ASSERT_TRUE((*other)->digest_of(node).ok());
  expect("dir/file", "one", true);
  ASSERT_TRUE(memo->save().ok());
  ASSERT_TRUE((*other)->save().ok());
  restart();
  expect("other", "two", false, "the last one's");
  expect("dir/file", "one", true, "the first one's");
  EXPECT_EQ(count_in(file.parent_path()), 1U);
}

TEST_F(ContentMemoTest, KeepsTheMemosThatWereUsedLast) {
  for (std::size_t i = 0; i < ContentMemo::kMostMemos + 3; ++i) {
    const fs::path old = file.parent_path() / std::to_string(i);
    put_text(old, "");
    set_time(old, timespec{static_cast<time_t>(i), 0});
  }
  expect("dir/file", "one", true);
  ASSERT_TRUE(memo->save().ok());
  EXPECT_EQ(count_in(file.parent_path()), ContentMemo::kMostMemos);
  EXPECT_TRUE(fs::exists(file));
  EXPECT_FALSE(fs::exists(file.parent_path() / "3"));
  EXPECT_TRUE(fs::exists(file.parent_path() / "4"));
}

}  // namespace
}  // namespace imagebuild::builder
