#include "archive/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

namespace fs = std::filesystem;

bool is_root() {
  return ::geteuid() == 0;
}

// A folder with "root" to unpack into and "outside" that nothing may touch.
class Extract : public testing::Test {
 protected:
  void SetUp() override {
    Result<TempDir> dir = TempDir::create("archive-test-");
    ASSERT_OK(dir);
    dir_.emplace(std::move(*dir));
    root_ = dir_->path() / "root";
    outside_ = dir_->path() / "outside";
    fs::create_directory(root_);
    fs::create_directory(outside_);
    write_text(outside_ / "file", "untouched");
    fd_ = UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    options_.keep_owners = is_root();
  }
  void TearDown() override {
    EXPECT_EQ(read_text(outside_ / "file"), "untouched");
    EXPECT_EQ(std::distance(fs::directory_iterator(outside_), fs::directory_iterator()), 1) << "outside is as it was";
  }

  Status unpack_bytes(const std::string& tar) {
    StringSource source(tar);
    return extract(source, fd_.get(), options_);
  }
  Status unpack(const std::vector<Entry>& entries) { return unpack_bytes(tar_of(entries)); }
  struct stat look(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat((root_ / path).c_str(), &status), 0) << path;
    return status;
  }
  bool exists(const std::string& path) { return fs::exists(fs::symlink_status(root_ / path)); }
  std::string text(const std::string& path) { return read_text(root_ / path); }

  std::optional<TempDir> dir_;
  fs::path root_;
  fs::path outside_;
  UniqueFd fd_;
  ExtractOptions options_;
};

#define EXPECT_ERROR(expression, expected)                                \
  do {                                                                    \
    const Status status_ = (expression);                                  \
    ASSERT_FALSE(status_.ok());                                           \
    EXPECT_EQ(status_.error().code, expected) << status_.error().message; \
  } while (false)

TEST_F(Extract, WritesEveryKindWithItsAttributes) {
  if (!is_root()) GTEST_SKIP() << "owners and device nodes need root";
  const mode_t before = ::umask(077);
  Entry owned = file("dir/hello", "hello\n", 06755);
  owned.node.uid = 1234;
  owned.node.gid = 5678;
  owned.node.xattrs["security.capability"] = std::string("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  owned.node.xattrs["user.note"] = std::string("a\0b", 3);
  Entry link = symlink("dir/link", "/no/where");
  link.node.uid = 7;
  Entry closed = folder("dir", 01577);
  closed.node.gid = 9;
  Entry pipe = device("pipe", NodeType::kFifo, 0, 0);
  pipe.node.mode = 0666;
  Entry null = device("null", NodeType::kCharDevice, 1, 3);
  null.node.mode = 0666;
  null.node.uid = 5;
  EXPECT_TRUE(unpack({folder("", 0711), closed, owned, link, hardlink("same", "dir/hello"), null,
                      device("disk", NodeType::kBlockDevice, 7, 300), pipe, file("big", mixed_bytes(900'000))})
                  .ok());
  ::umask(before);

  EXPECT_EQ(look("").st_mode & 07777U, 0711U);
  EXPECT_EQ(look("").st_mtime, 1'500'000'000);
  const struct stat hello = look("dir/hello");
  EXPECT_EQ(hello.st_mode, S_IFREG | 06755U);
  EXPECT_EQ(hello.st_uid, 1234U);
  EXPECT_EQ(hello.st_gid, 5678U);
  EXPECT_EQ(hello.st_mtime, 1'600'000'000);
  EXPECT_EQ(hello.st_mtim.tv_nsec, 0);
  EXPECT_EQ(hello.st_nlink, 2U);
  EXPECT_EQ(look("same").st_ino, hello.st_ino);
  EXPECT_EQ(text("dir/hello"), "hello\n");
  char value[64];
  EXPECT_EQ(::getxattr((root_ / "dir/hello").c_str(), "security.capability", value, sizeof(value)), 20);
  EXPECT_EQ(::getxattr((root_ / "dir/hello").c_str(), "user.note", value, sizeof(value)), 3);
  EXPECT_EQ(look("dir").st_mode, S_IFDIR | 01577U);
  EXPECT_EQ(look("dir").st_gid, 9U);
  EXPECT_EQ(look("dir").st_mtime, 1'500'000'000) << "although files came after it";
  EXPECT_EQ(fs::read_symlink(root_ / "dir/link"), "/no/where");
  EXPECT_EQ(look("dir/link").st_uid, 7U);
  EXPECT_EQ(look("dir/link").st_mtime, 1'500'000'000);
  EXPECT_EQ(look("null").st_mode, S_IFCHR | 0666U);
  EXPECT_EQ(look("null").st_rdev, makedev(1, 3));
  EXPECT_EQ(look("null").st_uid, 5U);
  EXPECT_EQ(look("disk").st_rdev, makedev(7, 300));
  EXPECT_EQ(look("pipe").st_mode, S_IFIFO | 0666U);
  EXPECT_TRUE(text("big") == mixed_bytes(900'000));
}

TEST_F(Extract, WithoutOwnersFilesBelongToTheCaller) {
  options_.keep_owners = false;
  Entry entry = file("f", "x", 06755);
  entry.node.uid = 1234;
  entry.node.xattrs["security.capability"] = std::string("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  ASSERT_OK(unpack({entry}));
  EXPECT_EQ(look("f").st_uid, ::geteuid());
  EXPECT_EQ(look("f").st_mode & 07777U, 0755U);
  EXPECT_LT(::getxattr((root_ / "f").c_str(), "security.capability", nullptr, 0), 0);
  EXPECT_ERROR(unpack({device("null", NodeType::kCharDevice, 1, 3)}), ErrorCode::kUnsupported);
}

TEST_F(Extract, MissingParentsAreMade) {
  const mode_t before = ::umask(077);
  ASSERT_OK(unpack({file("a/b/c", "c")}));
  ::umask(before);
  EXPECT_EQ(look("a").st_mode & 07777U, 0755U);
  EXPECT_EQ(look("a/b").st_mode & 07777U, 0755U);
  EXPECT_EQ(look("a/b").st_mtime, 0);
  EXPECT_EQ(text("a/b/c"), "c");
}

TEST_F(Extract, AnEntryReplacesWhatIsThereUnlessBothAreFolders) {
  const std::vector<std::pair<const char*, Entry>> kinds = {{"file", file("x", "new")},
                                                            {"folder", folder("x", 0750)},
                                                            {"symlink", symlink("x", "target")},
                                                            {"hard link", hardlink("x", "other")},
                                                            {"pipe", device("x", NodeType::kFifo, 0, 0)}};
  for (const auto& [old_name, old_kind] : kinds) {
    for (const auto& [new_name, new_kind] : kinds) {
      for (const bool same_layer : {false, true}) {
        SCOPED_TRACE(std::string(old_name) + " then " + new_name);
        fs::remove_all(root_ / "x");
        std::vector<Entry> first = {file("other", "other"), old_kind};
        const bool was_folder = old_kind.node.type == NodeType::kDirectory;
        if (was_folder) first.push_back(file("x/below", "below"));
        if (same_layer) {
          first.push_back(new_kind);
          ASSERT_OK(unpack(first));
        } else {
          ASSERT_OK(unpack(first));
          ASSERT_OK(unpack({new_kind}));
        }
        const mode_t type = look("x").st_mode & S_IFMT;
        switch (new_kind.node.type) {
          case NodeType::kFile:
            EXPECT_EQ(text("x"), "new");
            break;
          case NodeType::kDirectory:
            EXPECT_EQ(type, mode_t{S_IFDIR});
            EXPECT_EQ(look("x").st_mode & 07777U, 0750U);
            EXPECT_EQ(exists("x/below"), was_folder);
            break;
          case NodeType::kSymlink:
            EXPECT_EQ(fs::read_symlink(root_ / "x"), "target");
            break;
          case NodeType::kHardlink:
            EXPECT_EQ(look("x").st_ino, look("other").st_ino);
            break;
          default:
            EXPECT_EQ(type, mode_t{S_IFIFO});
            break;
        }
        EXPECT_EQ(text("other"), "other");
      }
    }
  }
}

TEST_F(Extract, ReplacingAHardLinkedFileLeavesTheOthers) {
  ASSERT_OK(unpack({file("a", "old"), hardlink("b", "a")}));
  ASSERT_OK(unpack({file("a", "new")}));
  EXPECT_EQ(text("a"), "new");
  EXPECT_EQ(text("b"), "old");
}

TEST_F(Extract, FileReplacesFolderAndBack) {
  ASSERT_OK(unpack({folder("d"), file("d/f", "1"), file("d", "file"), folder("d", 0700), file("d/g", "2")}));
  EXPECT_FALSE(exists("d/f"));
  EXPECT_EQ(text("d/g"), "2");
  EXPECT_EQ(look("d").st_mode & 07777U, 0700U);
  EXPECT_EQ(look("d").st_mtime, 1'500'000'000);
}

TEST_F(Extract, AFileOnTheWayIsCorrupt) {
  EXPECT_ERROR(unpack({file("d", ""), file("d/f", "")}), ErrorCode::kCorrupt);
}

TEST_F(Extract, SymlinkedParentsStayInside) {
  const std::string outside = outside_.string();
  const struct {
    const char* name;
    std::string target;
  } cases[] = {{"absolute", outside},
               {"dot dot", "../outside"},
               {"many dot dots", "../../../../../../../.." + outside},
               {"through itself", "./../outside/../outside"}};
  for (const auto& test : cases) {
    SCOPED_TRACE(test.name);
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) fs::remove_all(entry.path());
    ASSERT_OK(unpack({symlink("way", test.target), file("way/new", "new"), file("way/file", "hostile")}));
    const fs::path inside =
        test.target.find(outside) != std::string::npos ? fs::path(outside.substr(1)) : fs::path("outside");
    EXPECT_EQ(text((inside / "new").string()), "new");
    EXPECT_EQ(text((inside / "file").string()), "hostile");
  }
}

TEST_F(Extract, ALinkAsTheLastPartIsReplacedNeverWrittenThrough) {
  fs::create_symlink(outside_ / "file", root_ / "f");
  fs::create_symlink(outside_, root_ / "d");
  ASSERT_OK(unpack({file("f", "mine"), folder("d", 0700)}));
  EXPECT_EQ(text("f"), "mine");
  EXPECT_EQ(look("d").st_mode & S_IFMT, mode_t{S_IFDIR});
  EXPECT_EQ(fs::status(outside_).permissions() & fs::perms::group_read, fs::perms::group_read);
}

TEST_F(Extract, HardLinksStayInside) {
  const std::string file_outside = (outside_ / "file").string();
  EXPECT_ERROR(unpack({hardlink("h", file_outside.substr(1))}), ErrorCode::kCorrupt);
  EXPECT_ERROR(unpack({symlink("way", outside_.string()), hardlink("h", "way/file")}), ErrorCode::kCorrupt);
  EXPECT_ERROR(unpack({symlink("way2", "../outside"), hardlink("h", "way2/file")}), ErrorCode::kCorrupt);
  EXPECT_ERROR(unpack({folder("d"), hardlink("h", "d")}), ErrorCode::kCorrupt);
  EXPECT_ERROR(unpack({hardlink("h", "later"), file("later", "")}), ErrorCode::kCorrupt);
  EXPECT_FALSE(exists("h"));
  // A link to a symlink shares the symlink; what is written over it replaces it.
  ASSERT_OK(unpack({symlink("s", file_outside), hardlink("h", "s"), file("h", "mine")}));
  EXPECT_EQ(fs::read_symlink(root_ / "s"), file_outside);
  EXPECT_EQ(text("h"), "mine");
  ASSERT_OK(unpack({file("self", "kept"), hardlink("self", "self")}));
  EXPECT_EQ(text("self"), "kept");
}

TEST_F(Extract, SymlinkLoopsAreErrors) {
  EXPECT_ERROR(unpack({symlink("a", "b"), symlink("b", "a"), file("a/f", "")}), ErrorCode::kCorrupt);
  EXPECT_ERROR(unpack({symlink("c", "c"), file("c/f", "")}), ErrorCode::kCorrupt);
}

TEST_F(Extract, WhiteoutsRemoveWhatIsBelow) {
  ASSERT_OK(
      unpack({file("f", ""), folder("d"), file("d/a", ""), folder("d/sub"), file("d/sub/b", ""), file("d2/x", "")}));
  ASSERT_OK(unpack({file(".wh.f", ""), file("d/.wh.sub", ""), file(".wh.never", ""), file("no/such/.wh.folder", ""),
                    file("f2/.wh.x", "")}));
  EXPECT_FALSE(exists("f"));
  EXPECT_TRUE(exists("d/a"));
  EXPECT_FALSE(exists("d/sub"));
  EXPECT_FALSE(exists("no")) << "a whiteout makes nothing";
  EXPECT_FALSE(exists(".wh.f"));
  EXPECT_TRUE(exists("d2/x"));
}

TEST_F(Extract, WhiteoutsNeverHideTheirOwnLayer) {
  const std::vector<Entry> lower = {folder("d"), file("d/old", ""), folder("d/both"), file("d/both/old", ""),
                                    file("f", "1")};
  const std::vector<std::vector<Entry>> orders = {
      {file("d/.wh..wh..opq", ""), file("d/new", ""), file("d/both/new", ""), file("f", "2"), file(".wh.f", "")},
      {file("d/new", ""), file("d/both/new", ""), file("d/.wh..wh..opq", ""), file(".wh.f", ""), file("f", "2")},
      {file("d/new", ""), folder("d"), file("d/both/new", ""), file(".wh.d", ""), file("f", "2"), file(".wh.f", "")}};
  for (const std::vector<Entry>& upper : orders) {
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) fs::remove_all(entry.path());
    ASSERT_OK(unpack(lower));
    ASSERT_OK(unpack(upper));
    EXPECT_FALSE(exists("d/old"));
    EXPECT_FALSE(exists("d/both/old"));
    EXPECT_TRUE(exists("d/new"));
    EXPECT_TRUE(exists("d/both/new"));
    EXPECT_EQ(text("f"), "2");
  }
}

TEST_F(Extract, WhiteoutsFollowLinkedParentsOnlyInside) {
  fs::create_directory(root_ / "real");
  write_text(root_ / "real/f", "");
  fs::create_symlink("/real", root_ / "linked");
  fs::create_symlink("../outside", root_ / "out");
  fs::create_symlink(outside_ / "file", root_ / "link");
  ASSERT_OK(
      unpack({file("linked/.wh.f", ""), file("out/.wh.file", ""), file("out/.wh..wh..opq", ""), file(".wh.link", "")}));
  EXPECT_FALSE(exists("real/f"));
  EXPECT_FALSE(exists("link"));
}

TEST_F(Extract, OpaqueRootHidesEverythingBelowIt) {
  ASSERT_OK(unpack({file("a", ""), file("b/c", "")}));
  ASSERT_OK(unpack({file("new", ""), file(".wh..wh..opq", "")}));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 1);
  EXPECT_TRUE(exists("new"));
}

TEST_F(Extract, ReservedNamesAreErrorsAndAufsLeftoversAreSkipped) {
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh...", ".wh..wh.", ".wh..wh.other", ".wh.d/f"}) {
    SCOPED_TRACE(name);
    EXPECT_ERROR(unpack({file(name, "")}), ErrorCode::kCorrupt);
  }
  ASSERT_OK(unpack(
      {file(".wh..wh.aufs", ""), folder(".wh..wh.plnk"), file(".wh..wh.plnk/12.34", ""), folder(".wh..wh.orph")}));
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(Extract, WithoutWhiteoutsTheNamesAreOrdinary) {
  options_.whiteouts = false;
  ASSERT_OK(unpack({file("f", ""), file(".wh.f", "x"), file(".wh..wh..opq", "")}));
  EXPECT_TRUE(exists("f"));
  EXPECT_EQ(text(".wh.f"), "x");
  EXPECT_TRUE(exists(".wh..wh..opq"));
}

TEST_F(Extract, DuplicatesTakeTheLast) {
  ASSERT_OK(unpack({file("f", "1"), file("f", "22"), folder("d", 0700), folder("d", 0711), file("f", "333")}));
  EXPECT_EQ(text("f"), "333");
  EXPECT_EQ(look("d").st_mode & 07777U, 0711U);
}

TEST_F(Extract, OverlayMarksAreRefused) {
  if (!is_root()) GTEST_SKIP() << "trusted attributes need root";
  Entry redirect = folder("d");
  redirect.node.xattrs["trusted.overlay.redirect"] = "/etc";
  EXPECT_ERROR(unpack({redirect}), ErrorCode::kUnsupported);
  EXPECT_ERROR(unpack({device("x", NodeType::kCharDevice, 0, 0)}), ErrorCode::kUnsupported);
}

TEST_F(Extract, AnAttributeThatCannotBeKeptIsAnError) {
  Entry entry = symlink("l", "x");
  entry.node.xattrs["user.note"] = "links have no user attributes";
  EXPECT_FALSE(unpack({entry}).ok());
  Entry bogus = file("f", "");
  bogus.node.xattrs["nonsense.note"] = "x";
  EXPECT_ERROR(unpack({bogus}), ErrorCode::kUnsupported);
}

TEST_F(Extract, LimitsHold) {
  options_.limits.max_content_bytes = 1000;
  EXPECT_ERROR(unpack({file("f", std::string(1001, 'f'))}), ErrorCode::kLimit);
  options_.limits.max_entries = 2;
  EXPECT_ERROR(unpack({folder("a"), folder("b"), folder("c")}), ErrorCode::kLimit);
  EXPECT_ERROR(unpack_bytes(tar_of({file("cut", std::string(1000, 'c'))}).substr(0, 900)), ErrorCode::kCorrupt);
}

TEST_F(Extract, VeryDeepAndVeryLongNamesWork) {
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "d/";
  std::string wide(255, '\xff');
  for (int i = 0; i < 10; ++i) wide += "/" + std::string(255, 'w');
  ASSERT_OK(unpack({file(deep + "f", "deep"), file(wide, "wide")}));
  EXPECT_EQ(text(deep + "f"), "deep");
  EXPECT_EQ(text(wide), "wide");
  ASSERT_OK(unpack({file(".wh.d", "")}));
  EXPECT_FALSE(exists("d"));
}

TEST_F(Extract, TellsAboutEachEntryButWhiteouts) {
  std::vector<std::string> seen;
  options_.on_node = [&seen](const Node& node) { seen.push_back(node.path); };
  ASSERT_OK(unpack({folder("d"), file("d/f", ""), file(".wh.x", "")}));
  EXPECT_EQ(seen, (std::vector<std::string>{"d", "d/f"}));
}

TEST_F(Extract, FolderTimesSurviveAReplacedLinkOnTheWay) {
  ASSERT_OK(unpack(
      {folder("real"), symlink("way", "real"), folder("way/in", 0755), file("way/in/f", ""), folder("real", 0700)}));
  EXPECT_EQ(look("real/in").st_mtime, 1'500'000'000);
  ASSERT_OK(unpack({folder("real/in", 0711), symlink("way", "elsewhere"), folder("elsewhere/in", 0700)}));
  EXPECT_EQ(look("elsewhere/in").st_mode & 07777U, 0700U);
  EXPECT_EQ(look("real/in").st_mode & 07777U, 0711U);
}

// Another process swaps a folder and a link to the outside all the time.
TEST_F(Extract, NoSwappedLinkLeadsOut) {
  fs::create_directory(root_ / "way");
  fs::create_symlink(outside_, root_ / "other");
  std::vector<Entry> entries;
  for (int i = 0; i < 2000; ++i) {
    const std::string number = std::to_string(i);
    entries.push_back(file("way/f" + number, number));
    entries.push_back(folder("elsewhere" + number));  // Makes the next one look for "way" anew.
    if (i % 2 == 0) entries.push_back(hardlink("h" + number, "way/f" + number));
  }
  const std::string tar = tar_of(entries);
  std::jthread swapper([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::renameat2(fd_.get(), "way", fd_.get(), "other", RENAME_EXCHANGE);
    }
  });
  (void)unpack_bytes(tar);  // It may fail; TearDown() looks at the outside.
}

TEST_F(Extract, IndexesWhatItUnpacksInTheSamePass) {
  const std::string lower =
      tar_of({folder("etc"), file("etc/passwd", "root\n"), file("gone", "x"), symlink("lib", "usr/lib")});
  const std::string upper =
      tar_of({file(".wh.gone", ""), file("etc/passwd", "root\nme\n"), file("lib/a", "1"), hardlink("b", "lib/a")});
  TreeIndex together, alone;
  for (const std::string& tar : {lower, upper}) {
    StringSource first(tar), second(tar);
    ASSERT_OK(extract_and_index(first, fd_.get(), options_, {"etc/passwd"}, together));
    ASSERT_OK(apply_layer_to_index(second, {"etc/passwd"}, alone));
  }
  EXPECT_EQ(together.nodes(), alone.nodes());
  EXPECT_EQ(together.find("etc/passwd")->content, "root\nme\n");
  EXPECT_EQ(text("etc/passwd"), "root\nme\n") << "what the index kept is missing in the file";
  EXPECT_EQ(text("usr/lib/a"), "1");
  EXPECT_FALSE(exists("gone"));
}

TEST_F(Extract, GivesEveryModeWhateverTheUmask) {
  for (const mode_t umask : {0000, 0022, 0077}) {
    const mode_t before = ::umask(umask);
    for (const std::uint32_t mode : {0000U, 0600U, 0640U, 0644U, 0666U, 0755U, 0777U, 04755U, 02775U}) {
      const std::string name = "f" + std::to_string(umask) + "-" + std::to_string(mode);
      const Status unpacked = unpack({file(name, "x", mode)});
      EXPECT_TRUE(unpacked.ok());
      EXPECT_EQ(look(name).st_mode & 07777U, options_.keep_owners ? mode : mode & 01777U) << name;
    }
    ::umask(before);
  }
}

TEST_F(Extract, GnuTarsOwnArchiveComesOutTheSame) {
  const fs::path source = dir_->path() / "source";
  const ShellResult made =
      shell("mkdir -p " + source.string() + "/d/e && cd " + source.string() +
            " && echo hello >d/f && ln d/f d/g && ln -s ../x d/e/l && chmod 4751 d/f && chmod 550 d/e && "
            "touch -d @1234567890 d/f d/e . && tar -cf ../a.tar .");
  ASSERT_TRUE(made.ok) << made.output;
  ASSERT_OK(unpack_bytes(read_text(dir_->path() / "a.tar")));
  const ShellResult same = shell("cd " + source.string() + " && tar -df ../a.tar -C " + root_.string() +
                                 " && diff -r --no-dereference . " + root_.string());
  EXPECT_TRUE(same.ok || !is_root()) << same.output;
}

}  // namespace
}  // namespace imagebuild::archive
