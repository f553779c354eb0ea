#include "builder/stage/copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "copy_rows.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::MemoryTree;
using testing::written;

template <class Change>
api::CopyStep with(api::CopyStep step, Change change) {
  change(step);
  return step;
}

std::vector<CopyRow> rows() {
  const auto from_stage = [](api::CopyStep& step) { step.from = api::FromStage{0}; };
  return {
      {"a file to a new name", {"a =x"}, {}, copy({"a"}, "/b"), {"b 0644 0:0 =x"}},
      {"a file into an existing folder", {"a =x"}, {"srv/"}, copy({"a"}, "/srv"), {"srv/a 0644 0:0 =x"}},
      {"a file into a folder that is made",
       {"a =x"},
       {},
       copy({"a"}, "/new/x", true),
       {"new/ 0755 0:0", "new/x/ 0755 0:0", "new/x/a 0644 0:0 =x"}},
      {"parents of a file are made", {"a =x"}, {}, copy({"a"}, "/n/b"), {"n/ 0755 0:0", "n/b 0644 0:0 =x"}},
      {"several sources",
       {"a =x", "b =y"},
       {},
       copy({"a", "b"}, "/d", true),
       {"d/ 0755 0:0", "d/a 0644 0:0 =x", "d/b 0644 0:0 =y"}},
      {"a folder is copied as what it holds",
       {"d/ 0700", "d/a =x", "d/s/ 0711 3:4", "d/s/b =y"},
       {},
       copy({"d"}, "/n"),
       {"n/ 0755 0:0", "n/a 0644 0:0 =x", "n/s/ 0711 0:0", "n/s/b 0644 0:0 =y"}},
      {"the whole context",
       {"a =x", "s/", "s/b =y"},
       {"w/ 0750"},
       copy({""}, "/w"),
       {"w/a 0644 0:0 =x", "w/s/ 0755 0:0", "w/s/b 0644 0:0 =y"}},
      {"into the root", {"a =x"}, {}, copy({"a"}, "/", true), {"a 0644 0:0 =x"}},
      {"an existing folder keeps its metadata, one below takes the source's",
       {"d/ 0700", "d/s/ 0711", "d/s/b =y"},
       {"n/ 0750", "n/s/ 0755 5:5"},
       copy({"d"}, "/n"),
       {"n/s/ 0711 0:0", "n/s/b 0644 0:0 =y"}},
      {"a wildcard",
       {"a.c =x", "b.c =y", "c.h =z", "d/", "d/e.c =w"},
       {},
       copy({"*.c"}, "/d", true),
       {"d/ 0755 0:0", "d/a.c 0644 0:0 =x", "d/b.c 0644 0:0 =y"}},
      {"a wildcard for folders",
       {"p/", "p/a/", "p/a/x =1", "p/b/", "p/b/x =2", "q =3"},
       {},
       copy({"p/*/x"}, "/d", true),
       {"d/ 0755 0:0", "d/x 0644 0:0 =2"}},
      {"a wildcard beside one that matches nothing",
       {"a =x"},
       {},
       copy({"a", "nothing*"}, "/d", true),
       {"d/ 0755 0:0", "d/a 0644 0:0 =x"}},
      {"owner by number",
       {"a =x"},
       {},
       with(copy({"a"}, "/n/a"), [](auto& s) { s.owner = "7:8"; }),
       {"n/ 0755 7:8", "n/a 0644 7:8 =x"}},
      {"owner by name, from the stage's own passwd",
       {"a =x"},
       {"etc/", "etc/passwd =app:x:9:10::/:/"},
       with(copy({"a"}, "/a"), [](auto& s) { s.owner = "app"; }),
       {"a 0644 9:10 =x"}},
      {"mode for files and folders but not links",
       {"d/", "d/a =x", "d/l ->a", "d/s/"},
       {},
       with(copy({"d"}, "/n"), [](auto& s) { s.mode = "0500"; }),
       {"n/ 0500 0:0", "n/a 0500 0:0 =x", "n/l ->a", "n/s/ 0500 0:0"}},
      {"a folder that is there keeps its mode",
       {"a =x"},
       {"n/ 0711"},
       with(copy({"a"}, "/n/"), [](auto& s) { s.mode = "0640"; }),
       {"n/a 0640 0:0 =x"}},
      {"folders that are made take the mode too, without its set-id bits",
       {"a =x"},
       {},
       with(copy({"a"}, "/p/n/a"), [](auto& s) { s.mode = "4640"; }),
       {"p/ 0640 0:0", "p/n/ 0640 0:0", "p/n/a 4640 0:0 =x"}},
      {"a symbolic mode, to each thing's own mode",
       {"d/", "d/a 0600 =x", "d/b 0711 =y", "d/l ->a", "d/s/ 0700"},
       {},
       with(copy({"d"}, "/n"), [](auto& s) { s.mode = "u=rwX,go=rX"; }),
       {"n/ 0755 0:0", "n/a 0644 0:0 =x", "n/b 0755 0:0 =y", "n/l ->a", "n/s/ 0755 0:0"}},
      {"a symbolic mode for a file whose folder is made",
       {"a 0640 =x"},
       {},
       with(copy({"a"}, "/n/a"), [](auto& s) { s.mode = "g=u,o="; }),
       {"n/ 0770 0:0", "n/a 0660 0:0 =x"}},
      {"a heredoc with a symbolic mode",
       {},
       {},
       with(copy({}, "/f"),
            [](auto& s) {
              s.inline_sources = {{"EOF", "text"}};
              s.mode = "+x";
            }),
       {"f 0755 0:0 =text"}},
      {"from the context everything becomes root's", {"a 0644 5:6 =x"}, {}, copy({"a"}, "/a"), {"a 0644 0:0 =x"}},
      {"from a stage owners stay", {"a 4755 5:6 =x"}, {}, with(copy({"a"}, "/a"), from_stage), {"a 4755 5:6 =x"}},
      {"a named symlink is followed and gives the name",
       {"real =x", "link ->real"},
       {"d/"},
       copy({"link"}, "/d"),
       {"d/link 0644 0:0 =x"}},
      {"a symlink below a folder is copied",
       {"d/", "d/l ->../x", "x =x"},
       {},
       copy({"d"}, "/n"),
       {"n/ 0755 0:0", "n/l ->../x"}},
      {"a symlinked parent in the source",
       {"v1/", "v1/a =x", "cur ->v1"},
       {},
       copy({"cur/a"}, "/a"),
       {"a 0644 0:0 =x"}},
      {"hard links stay together, the first name is the file",
       {"d/", "d/z =x", "d/a @d/z"},
       {},
       copy({"d"}, "/n"),
       {"n/ 0755 0:0", "n/a 0644 0:0 =x", "n/z @n/a"}},
      {"a symlinked destination folder is kept",
       {"a =x"},
       {"usr/", "usr/lib/", "lib ->usr/lib"},
       copy({"a"}, "/lib", true),
       {"usr/lib/a 0644 0:0 =x"}},
      {"a folder over a symlink to a folder goes behind it",
       {"r/", "r/lib/ 0700", "r/lib/x =x"},
       {"usr/", "usr/lib/", "lib ->usr/lib"},
       copy({"r"}, "/"),
       {"usr/lib/x 0644 0:0 =x"}},
      {"an absolute symlink stays inside the root",
       {"a =x"},
       {"data/", "srv ->/data"},
       copy({"a"}, "/srv/x"),
       {"data/x 0644 0:0 =x"}},
      {"a file over a symlink in a folder replaces the link",
       {"a =x"},
       {"d/", "d/a ->/etc/x"},
       copy({"a"}, "/d"),
       {"d/a 0644 0:0 =x"}},
      {"no such file",
       {"src/", "src/main.c"},
       {},
       copy({"src/man.c"}, "/a"),
       {},
       "no such file 'src/man.c' in the build context; did you mean 'src/main.c'?"},
      {"no such folder", {"source/", "source/x"}, {}, copy({"sourc/x"}, "/a"), {}, "did you mean 'source'?"},
      {"a dangling link", {"l ->nothing"}, {}, copy({"l"}, "/a"), {}, "no such file 'l'"},
      {"a wildcard that matches nothing copies nothing", {"a"}, {}, copy({"*.c"}, "/d", true), {}},
      {"several matches to one name", {"a.c =1", "b.c =2"}, {}, copy({"*.c"}, "/d"), {}, "write it as '/d/'"},
      {"a folder over a file", {"d/", "d/a"}, {"n =x"}, copy({"d"}, "/n"), {}, "which is not a folder"},
      {"a folder below over a file", {"d/", "d/n/", "d/n/a"}, {"n =x"}, copy({"d"}, "/"), {}, "which is not a folder"},
      {"a file over a folder", {"d/", "d/n =x"}, {"n/"}, copy({"d"}, "/"), {}, "in the place of the folder '/n'"},
      {"a file as parent", {"a =x"}, {"n =x"}, copy({"a"}, "/n/a"), {}, "'/n' has to be a folder"},
      {"a loop of links", {"a ->b", "b ->a"}, {}, copy({"a"}, "/x"), {}, "too many symbolic links"},
      {"a name that means a removal", {".wh.x =x"}, {}, copy({".wh.x"}, "/d", true), {}, "means a removal"},
      {"an unknown owner",
       {"a =x"},
       {},
       with(copy({"a"}, "/a"), [](auto& s) { s.owner = "app"; }),
       {},
       "unknown user 'app'"},
      {"a heredoc as a file",
       {},
       {},
       with(copy({}, "/f"),
            [](auto& s) {
              s.inline_sources = {{"EOF", "text"}};
            }),
       {"f 0644 0:0 =text"}},
      {"heredocs into a folder",
       {},
       {},
       with(copy({}, "/f", true),
            [](auto& s) {
              s.inline_sources = {{"a", "1"}, {"b", "2"}};
            }),
       {"f/ 0755 0:0", "f/a 0644 0:0 =1", "f/b 0644 0:0 =2"}},
  };
}

TEST(Copy, FollowsBuildKitsRules) {
  expect_copies(rows());
}

class AddArchive : public ::testing::Test {
 protected:
  Result<LayerEntries> add(const std::string& content, const std::vector<std::string>& root_lines,
                           const std::string& owner = "") {
    archive::Node node;
    node.path = "a.tar";
    node.mode = 0644;
    node.content = content;
    node.size_bytes = content.size();
    source_.index().put(node);
    root_.emplace(root_lines);
    api::CopyStep step = copy({"a.tar"}, "/d");
    step.unpack_archives = true;
    step.owner = owner;
    places_.emplace(CopyPlaces{source_.view(), "the build context", root_->view(), 2000, folder_.path()});
    return plan_copy(step, *places_);
  }
  TempDir folder_ = *TempDir::create("spool-");
  MemoryTree source_{"x/"};
  std::optional<MemoryTree> root_;
  std::optional<CopyPlaces> places_;
};

TEST_F(AddArchive, UnpacksWithTheArchivesOwnersAndModes) {
  for (const auto kind : {archive::Compression::kNone, archive::Compression::kGzip, archive::Compression::kZstd}) {
    const auto layer = add(tar_of({"s/ 0700 3:4", "s/f 4711 5:6 =hello", "l ->s/f", "h @s/f"}, kind), {});
    ASSERT_TRUE(layer.ok()) << layer.error().message;
    EXPECT_THAT(written(*layer),
                ElementsAreArray({"d/ 0755 0:0", "d/h 4711 5:6 =hello", "d/l ->s/f", "d/s/ 0700 3:4", "d/s/f @d/h"}));
  }
}

TEST_F(AddArchive, TakesTheOwnerThatIsAskedFor) {
  const auto layer = add(tar_of({"f 0600 5:6 =x"}, archive::Compression::kGzip), {"d/"}, "7:8");
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_THAT(written(*layer), ElementsAreArray({"d/f 0600 7:8 =x"}));
}

TEST_F(AddArchive, GoesThroughTheRootsSymlinksUnlessItHasAFolderThere) {
  const std::vector<std::string> root = {"d/", "usr/", "d/lib ->/usr"};
  const auto through = add(tar_of({"lib/x =1"}, archive::Compression::kNone), root);
  ASSERT_TRUE(through.ok()) << through.error().message;
  EXPECT_THAT(written(*through), ElementsAreArray({"usr/x 0644 0:0 =1"}));
  const auto instead = add(tar_of({"lib/ 0700", "lib/x =1"}, archive::Compression::kNone), root);
  ASSERT_TRUE(instead.ok()) << instead.error().message;
  EXPECT_THAT(written(*instead), ElementsAreArray({"d/lib/ 0700 0:0", "d/lib/x 0644 0:0 =1"}));
}

TEST_F(AddArchive, ReplacesWhatIsInItsWay) {
  const auto layer = add(tar_of({"a =1", "a/", "a/b =2"}, archive::Compression::kNone), {"d/", "d/a/", "d/a/old =x"});
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_THAT(written(*layer), ElementsAreArray({"d/a/ 0755 0:0", "d/a/b 0644 0:0 =2"}));
}

TEST_F(AddArchive, CopiesWhatIsNoArchive) {
  const auto layer = add("just text", {});
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_THAT(written(*layer), ElementsAreArray({"d 0644 0:0 =just text"}));
}

TEST_F(AddArchive, SaysThatABrokenArchiveIsTheUsersToMend) {
  const auto layer = add(tar_of({"a =1", "b =2"}, archive::Compression::kNone).substr(0, 1200), {});
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().exit_status(), kExitFailed);
}

TEST_F(AddArchive, LinksToAFileOfTheDestination) {
  const auto layer = add(tar_of({"h @old"}, archive::Compression::kNone), {"d/", "d/old =x"});
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_THAT(written(*layer), ElementsAreArray({"d/h @d/old"}));
}

TEST_F(AddArchive, RefusesALinkToWhatItDoesNotHold) {
  const auto layer = add(tar_of({"h @nothing"}, archive::Compression::kNone), {});
  ASSERT_FALSE(layer.ok());
  EXPECT_THAT(layer.error().message, HasSubstr("hard link 'h'"));
}

TEST(CopyXattrs, KeepsCapabilitiesAlone) {
  MemoryTree source({"a =x"});
  archive::Node node = *source.index().find("a");
  node.xattrs = {{"security.capability", "cap"}, {"user.note", "n"}};
  source.index().put(node);
  const MemoryTree root({});
  const CopyPlaces places{source.view(), "the build context", root.view(), 2000, "/nowhere"};
  const auto layer = plan_copy(copy({"a"}, "/a"), places);
  ASSERT_TRUE(layer.ok());
  const std::map<std::string, std::string> expected = {{"security.capability", "cap"}};
  EXPECT_EQ(layer->at("a").node.xattrs, expected);
}

TEST(Workdir, MakesWhatIsMissingBehindLinks) {
  const MemoryTree root({"usr/", "app ->/usr"});
  const auto made = plan_folder("/app/a/b", "", root.view(), 2000);
  ASSERT_TRUE(made.ok());
  EXPECT_THAT(written(*made), ElementsAreArray({"usr/a/ 0755 0:0", "usr/a/b/ 0755 0:0"}));
  EXPECT_TRUE(plan_folder("/usr", "", root.view(), 2000)->empty());
}

TEST(Workdir, BelongsToTheUserInForce) {
  const MemoryTree root({"etc/", "etc/passwd =app:x:9:10::/:/"});
  const auto made = plan_folder("/srv/app", "app", root.view(), 2000);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_THAT(written(*made), ElementsAreArray({"srv/ 0755 9:10", "srv/app/ 0755 9:10"}));
  EXPECT_EQ(plan_folder("/srv", "nobody-such", root.view(), 2000).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace imagebuild::builder
