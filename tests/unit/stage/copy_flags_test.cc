// What --exclude, --parents and --link do, and what ADD fetched from elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "copy_rows.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAreArray;
using testing::MemoryTree;
using testing::written;

using Lines = std::vector<std::string>;

api::CopyStep excluding(Lines patterns, api::CopyStep step) {
  step.exclude = std::move(patterns);
  return step;
}

api::CopyStep parents(Lines sources, const std::string& destination) {
  api::CopyStep step = copy(std::move(sources), destination);
  step.parents = true;
  return step;
}

api::CopyStep linked(api::CopyStep step) {
  step.link = true;
  return step;
}

TEST(CopyExclude, LeavesOutWhatItsPatternsMatch) {
  expect_copies({
      {"counted from the folder that is copied",
       {"src/", "src/a.c =1", "src/a.h =2", "src/s/", "src/s/b.h =3"},
       {},
       excluding({"*.h"}, copy({"src"}, "/n")),
       {"n/ 0755 0:0", "n/a.c 0644 0:0 =1", "n/s/ 0755 0:0", "n/s/b.h 0644 0:0 =3"}},
      {"not from the context's root",
       {"src/", "src/a.h =2"},
       {},
       excluding({"src/*.h"}, copy({"src"}, "/n")),
       {"n/ 0755 0:0", "n/a.h 0644 0:0 =2"}},
      {"in every folder",
       {"a.h =1", "s/", "s/b.h =3", "s/c =4"},
       {},
       excluding({"**/*.h"}, copy({""}, "/n")),
       {"n/ 0755 0:0", "n/s/ 0755 0:0", "n/s/c 0644 0:0 =4"}},
      {"a folder with all in it",
       {"keep =1", "node_modules/", "node_modules/x =2", "node_modules/y/", "node_modules/y/z =3"},
       {},
       excluding({"node_modules"}, copy({""}, "/n")),
       {"n/ 0755 0:0", "n/keep 0644 0:0 =1"}},
      {"several patterns",
       {"a =1", "b =2", "c =3"},
       {},
       excluding({"a", "b"}, copy({""}, "/n")),
       {"n/ 0755 0:0", "n/c 0644 0:0 =3"}},
      {"an exception brings back a file with the folder it stands in",
       {"d/ 0711 5:5", "d/keep =1", "d/drop =2"},
       {},
       excluding({"d", "!d/keep"}, copy({""}, "/n")),
       {"n/ 0755 0:0", "n/d/ 0711 0:0", "n/d/keep 0644 0:0 =1"}},
      {"an exception for nothing does not make the folder",
       {"d/", "d/drop =2", "e =3"},
       {},
       excluding({"d", "!d/keep"}, copy({""}, "/n")),
       {"n/ 0755 0:0", "n/e 0644 0:0 =3"}},
      {"files that a wildcard found",
       {"home.txt =1", "home.md =2", "homework =3"},
       {},
       excluding({"*.txt", "*.md"}, copy({"hom*"}, "/d", true)),
       {"d/ 0755 0:0", "d/homework 0644 0:0 =3"}},
      {"a file that is named", {"a =1", "b =2"}, {}, excluding({"a"}, copy({"a", "b"}, "/", true)), {"b 0644 0:0 =2"}},
      {"a folder that a wildcard found",
       {"a/", "a/x =1", "b/", "b/y =2"},
       {},
       excluding({"a"}, copy({"*"}, "/d", true)),
       {"d/ 0755 0:0", "d/y 0644 0:0 =2"}},
      {"everything, and the destination is there",
       {"d1/", "d1/x =1"},
       {},
       excluding({"*"}, copy({"d1"}, "/d")),
       {"d/ 0755 0:0"}},
      {"one file is left of several, so its name may be the destination's",
       {"a.c =1", "b.c =2"},
       {},
       excluding({"b.c"}, copy({"*.c"}, "/d")),
       {"d 0644 0:0 =1"}},
      {"a bad pattern", {"a =1"}, {}, excluding({"[a"}, copy({"a"}, "/d")), {}, "--exclude"},
  });
}

TEST(CopyParents, KeepsTheFolders) {
  const Lines tree = {"x/ 0700 5:5", "x/a.txt =1", "y/", "y/a.txt =2", "y/b =3"};
  expect_copies({
      {"files, with their folders' metadata",
       tree,
       {},
       parents({"x/a.txt", "y/a.txt"}, "/p"),
       {"p/ 0755 0:0", "p/x/ 0700 0:0", "p/x/a.txt 0644 0:0 =1", "p/y/ 0755 0:0", "p/y/a.txt 0644 0:0 =2"}},
      {"a wildcard",
       tree,
       {},
       parents({"*/*.txt"}, "/p"),
       {"p/ 0755 0:0", "p/x/ 0700 0:0", "p/x/a.txt 0644 0:0 =1", "p/y/ 0755 0:0", "p/y/a.txt 0644 0:0 =2"}},
      {"a folder with what it holds",
       tree,
       {"p/"},
       parents({"y"}, "/p"),
       {"p/y/ 0755 0:0", "p/y/a.txt 0644 0:0 =2", "p/y/b 0644 0:0 =3"}},
      {"any depth",
       {"s/", "s/a.txt =1", "s/x/", "s/x/b.txt =2", "s/x/y/", "s/x/y/c.txt =3", "s/z/", "s/z/no =4"},
       {},
       parents({"s/**/*.txt"}, "/p"),
       {"p/ 0755 0:0", "p/s/ 0755 0:0", "p/s/a.txt 0644 0:0 =1", "p/s/x/ 0755 0:0", "p/s/x/b.txt 0644 0:0 =2",
        "p/s/x/y/ 0755 0:0", "p/s/x/y/c.txt 0644 0:0 =3"}},
      {"from the pivot on",
       {"x/", "x/y/ 0711", "x/y/a.txt =1", "x/y/b =2"},
       {},
       parents({"x/./y/*.txt"}, "/p"),
       {"p/ 0755 0:0", "p/y/ 0711 0:0", "p/y/a.txt 0644 0:0 =1"}},
      {"a wildcard before the pivot",
       {"a/", "a/b/", "a/b/c/", "a/b/c/e =1", "a/b2/", "a/b2/c/", "a/b2/c/f =2"},
       {},
       parents({"a/b*/./c"}, "/p"),
       {"p/ 0755 0:0", "p/c/ 0755 0:0", "p/c/e 0644 0:0 =1", "p/c/f 0644 0:0 =2"}},
      {"all there is",
       {"a =1", "d/", "d/b =2"},
       {},
       parents({""}, "/p"),
       {"p/ 0755 0:0", "p/a 0644 0:0 =1", "p/d/ 0755 0:0", "p/d/b 0644 0:0 =2"}},
      {"a folder that is there takes the source's mode",
       tree,
       {"p/", "p/x/ 0755 7:7"},
       parents({"x/a.txt"}, "/p"),
       {"p/x/ 0700 7:7", "p/x/a.txt 0644 0:0 =1"}},
      {"a link is copied as a link",
       {"d/", "d/f =1", "d/l ->f"},
       {},
       parents({"d/l"}, "/p"),
       {"p/ 0755 0:0", "p/d/ 0755 0:0", "p/d/l ->f"}},
      {"with --exclude, counted from the pivot",
       {"x/", "x/y/", "x/y/a =1", "x/y/b =2"},
       {},
       excluding({"y/b"}, parents({"x/./y"}, "/p")),
       {"p/ 0755 0:0", "p/y/ 0755 0:0", "p/y/a 0644 0:0 =1"}},
      {"a wildcard for nothing makes the destination", tree, {}, parents({"*/*.md"}, "/p"), {"p/ 0755 0:0"}},
      {"a file that is not there", tree, {}, parents({"x/b.txt"}, "/p"), {}, "no such file 'x/b.txt'"},
      {"a pivot that is not there", tree, {}, parents({"z/./b.txt"}, "/p"), {}, "no such file 'z'"},
      {"behind a link", {"d/", "d/f =1", "l ->d"}, {}, parents({"l/f"}, "/p"), {}, "name '/d/f' instead"},
  });
}

TEST(CopyLink, DoesNotLookAtTheRoot) {
  const auto with = [](api::CopyStep step, auto change) {
    change(step);
    return step;
  };
  expect_copies({
      {"every folder above is part of the layer",
       {"a =x"},
       {"usr/ 0700 3:3", "usr/lib/ 0711"},
       linked(copy({"a"}, "/usr/lib/a")),
       {"usr/ 0755 0:0", "usr/lib/ 0755 0:0", "usr/lib/a 0644 0:0 =x"}},
      {"no link is followed",
       {"a =x"},
       {"usr/", "usr/lib/", "lib ->usr/lib"},
       linked(copy({"a"}, "/lib/", true)),
       {"lib/ 0755 0:0", "lib/a 0644 0:0 =x"}},
      {"a folder of the root is not one for the copy",
       {"a =x"},
       {"srv/"},
       linked(copy({"a"}, "/srv")),
       {"srv 0644 0:0 =x"}},
      {"a number as owner, and root",
       {"a =x"},
       {},
       with(linked(copy({"a"}, "/n/a")), [](auto& s) { s.owner = "7:root"; }),
       {"n/ 0755 7:0", "n/a 0644 7:0 =x"}},
      {"names cannot be looked up",
       {"a =x"},
       {"etc/", "etc/passwd =app:x:9:10::/:/"},
       with(linked(copy({"a"}, "/a")), [](auto& s) { s.owner = "app"; }),
       {},
       "write numbers, or remove --link"},
      {"with --chmod it is a plain copy",
       {"a =x"},
       {"usr/", "usr/lib/", "lib ->usr/lib"},
       with(linked(copy({"a"}, "/lib/", true)), [](auto& s) { s.mode = "600"; }),
       {"usr/lib/a 0600 0:0 =x"}},
      {"root is a number without --link too",
       {"a =x"},
       {},
       with(copy({"a"}, "/a"), [](auto& s) { s.owner = "root:root"; }),
       {"a 0644 0:0 =x"}},
  });
}

class AddRemote : public ::testing::Test {
 protected:
  Result<LayerEntries> add(api::CopyStep step, bool is_download, bool unpack, const Lines& root_lines = {}) {
    step.remotes = {api::RemoteSource{0, unpack}};
    root_.emplace(root_lines);
    places_.emplace(CopyPlaces{local_.view(), "the build context", root_->view(), 2000, folder_.path()});
    places_->remotes = {RemoteTree{&remote_.view(), "http://x/file", is_download}};
    return plan_copy(step, *places_);
  }
  TempDir folder_ = *TempDir::create("spool-");
  MemoryTree local_{"local =l"};
  MemoryTree remote_{};
  std::optional<MemoryTree> root_;
  std::optional<CopyPlaces> places_;
};

TEST_F(AddRemote, PutsADownloadAsAFile) {
  remote_.index().put(archive::Node{.path = "file", .mode = 0600, .size_bytes = 1, .content = "x"});
  EXPECT_THAT(written(*add(copy({}, "/d", true), true, false)),
              ElementsAreArray({"d/ 0755 0:0", "d/file 0600 0:0 =x"}));
  EXPECT_THAT(written(*add(copy({}, "/d"), true, false)), ElementsAreArray({"d 0600 0:0 =x"}));
  EXPECT_THAT(written(*add(copy({}, "/d"), true, false, {"d/"})), ElementsAreArray({"d/file 0600 0:0 =x"}));
  EXPECT_THAT(written(*add(copy({"local"}, "/d", true), true, true)),
              ElementsAreArray({"d/ 0755 0:0", "d/file 0600 0:0 =x", "d/local 0644 0:0 =l"}))
      << "what is no archive is copied, after the local sources";
}

TEST_F(AddRemote, UnpacksADownloadOnlyWhenAsked) {
  const std::string tar = tar_of({"a 0640 3:4 =1"});
  remote_.index().put(archive::Node{.path = "file", .mode = 0600, .size_bytes = tar.size(), .content = tar});
  EXPECT_THAT(written(*add(copy({}, "/d"), true, true)), ElementsAreArray({"d/ 0755 0:0", "d/a 0640 3:4 =1"}));
  EXPECT_EQ(written(*add(copy({}, "/d"), true, false)).size(), 1U);
}

TEST_F(AddRemote, CopiesWhatACheckoutHolds) {
  for (const auto& node : {archive::Node{.path = "s", .type = archive::NodeType::kDirectory, .mode = 0755},
                           archive::Node{.path = "s/a", .mode = 0644, .size_bytes = 1, .content = "1"}}) {
    remote_.index().put(node);
  }
  EXPECT_THAT(written(*add(copy({}, "/d"), false, false)),
              ElementsAreArray({"d/ 0755 0:0", "d/s/ 0755 0:0", "d/s/a 0644 0:0 =1"}));
  EXPECT_THAT(written(*add(excluding({"s/a"}, copy({}, "/d")), false, false)),
              ElementsAreArray({"d/ 0755 0:0", "d/s/ 0755 0:0"}));
}

TEST(AddLocal, KeepsAnArchiveWithoutUnpack) {
  const std::string tar = tar_of({"a =1"});
  MemoryTree source{};
  source.index().put(archive::Node{.path = "a.tar", .mode = 0644, .size_bytes = tar.size(), .content = tar});
  const MemoryTree root({});
  const CopyPlaces places{source.view(), "the build context", root.view(), 2000, "/nowhere"};
  const auto layer = plan_copy(copy({"a.tar"}, "/d", true), places);
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_TRUE(layer->contains("d/a.tar"));
}

}  // namespace
}  // namespace imagebuild::builder
