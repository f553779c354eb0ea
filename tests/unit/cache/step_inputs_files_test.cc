// Which files a step's inputs have.
#include <functional>
#include <ostream>
#include <vector>

#include "tests/unit/cache/step_inputs_fixture.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;

struct Selection {
  const char* name;
  std::function<void(api::CopyStep&)> set;
  std::vector<const char*> read;
  std::vector<const char*> not_read;
};
void PrintTo(const Selection& row, std::ostream* out) {
  *out << row.name;
}

class WhatACopyReads : public StepInputsTest, public testing::WithParamInterface<Selection> {};

TEST_P(WhatACopyReads, Counts) {
  for (const char* path : {"main.c", "README", "sub/one.c", "sub/two.h", "other/one.c"}) put_file(path, "1");
  put_link("link.c", "other/one.c");
  put_folder("sub", 0755);
  put_folder("other", 0755);
  GetParam().set(copy());
  for (const char* path : GetParam().not_read) {
    const std::string before = key();
    put_file(path, "2");
    EXPECT_EQ(key(), before) << path;
  }
  for (const char* path : GetParam().read) {
    const std::string before = key();
    put_file(path, "3");
    EXPECT_NE(key(), before) << path;
  }
}

using Paths = std::vector<const char*>;
INSTANTIATE_TEST_SUITE_P(
    Sources, WhatACopyReads,
    testing::Values(
        Selection{"All", [](api::CopyStep&) {}, Paths{"main.c", "sub/two.h", "new"}, Paths{}},
        Selection{"OneFile", [](api::CopyStep& it) { it.sources = {"main.c"}; }, Paths{"main.c"},
                  Paths{"README", "main.cc", "sub/one.c"}},
        Selection{"AFolder", [](api::CopyStep& it) { it.sources = {"sub"}; }, Paths{"sub/one.c", "sub/new"},
                  Paths{"main.c", "subs/one.c"}},
        Selection{"AWildcard", [](api::CopyStep& it) { it.sources = {"*.c"}; }, Paths{"main.c", "new.c", "other/one.c"},
                  Paths{"README", "sub/one.c"}},
        Selection{"AWildcardForFolders", [](api::CopyStep& it) { it.sources = {"*/one.c"}; },
                  Paths{"sub/one.c", "other/one.c"}, Paths{"sub/two.h", "main.c"}},
        Selection{"ALink", [](api::CopyStep& it) { it.sources = {"link.c"}; }, Paths{"other/one.c"}, Paths{"main.c"}},
        Selection{"AllButSome",
                  [](api::CopyStep& it) {
                    it.exclude = {"README", "sub"};
                  },
                  Paths{"main.c"}, Paths{"README", "sub/one.c"}},
        Selection{"WithParents",
                  [](api::CopyStep& it) {
                    it.sources = {"**/*.c"};
                    it.parents = true;
                  },
                  Paths{"main.c", "sub/one.c"}, Paths{"README", "sub/two.h"}},
        Selection{"Nothing", [](api::CopyStep& it) { it.sources.clear(); }, Paths{}, Paths{"main.c", "new"}}),
    [](const auto& row) { return row.param.name; });

TEST_F(StepInputsTest, ReadTheLinksOnTheWay) {
  put_file("one/x", "same");
  put_file("two/x", "same");
  put_link("way", "one");
  copy().sources = {"way/x"};
  const std::string before = key();
  put_link("way", "two");
  EXPECT_NE(key(), before);
}

TEST_F(StepInputsTest, ReadWhatABindMountShows) {
  copy().sources = {"main.c"};
  run().mounts = {api::BindMount{api::FromContext{}, "README", "/r"}};
  const std::string one_file = key();
  put_file("extra", "");
  EXPECT_EQ(key(), one_file);
  put_file("README", "changed");
  EXPECT_NE(key(), one_file);
  run().mounts = {api::BindMount{api::FromContext{}, "", "/src"}};
  const std::string all = key();
  put_file("extra", "changed");
  EXPECT_NE(key(), all) << "the whole context counts";
}

TEST_F(StepInputsTest, ReadTheModeOfAMountedFolderItself) {
  copy().sources = {"main.c"};
  put_folder("data", 0755);
  run().mounts = {api::BindMount{api::FromContext{}, "data", "/d"}};
  const std::string mounted = key();
  put_folder("data", 0700);
  EXPECT_NE(key(), mounted);
  run().mounts.clear();
  copy().sources = {"data"};
  const std::string copied = key();
  put_folder("data", 0755);
  EXPECT_EQ(key(), copied) << "a COPY takes what is in the folder";
}

TEST_F(StepInputsTest, ReadWhatACacheBeginsWith) {
  copy().sources = {"main.c"};
  api::CacheMount cache{"go", "/cache"};
  cache.from = api::FromContext{};
  cache.source = "README";
  run().mounts = {cache};
  const std::string before = key();
  put_file("README", "changed");
  EXPECT_NE(key(), before);
}

TEST_F(StepInputsTest, ReadTreesWhateverTheirNumber) {
  const auto put_tree = [&](int number, const std::string& content, const std::string& name = "file") {
    archive::TreeIndex tree;
    archive::Node node;
    node.path = name;
    node.size_bytes = content.size();
    node.data_offset = 0;
    tree.put(node);
    put_text(places.volume / api::volume::tree_tar(number), content);
    ASSERT_TRUE(tree.save(places.volume / api::volume::tree_index(number)).ok());
  };
  plan.trees.resize(2);
  plan.trees[0].origin = plan.trees[1].origin = api::HttpDownload{"http://x/file", ""};
  put_tree(0, "one");
  put_tree(1, "one");
  copy().sources.clear();
  copy().remotes = {api::RemoteSource{0, false}};
  const std::string before = key();
  copy().remotes = {api::RemoteSource{1, false}};
  EXPECT_EQ(key(), before);
  plan.trees[1].origin = api::HttpDownload{"http://mirror/file", "sha256:" + std::string(64, '1')};
  EXPECT_EQ(key(), before) << "only what came counts";
  put_tree(1, "two");
  EXPECT_NE(key(), before);
  put_tree(1, "one", "name");
  EXPECT_NE(key(), before);
  put_tree(1, "one");
  copy().remotes = {api::RemoteSource{1, true}};
  EXPECT_NE(key(), before) << "unpacked";
  run().mounts = {api::BindMount{api::FromTree{0}, "", "/t"}};
  const std::string mounted = key();
  put_tree(0, "two");
  EXPECT_NE(key(), mounted);
}

TEST_F(StepInputsTest, AreAnErrorWhereAFileCannotBeRead) {
  fs::remove(places.volume / api::volume::kContextFolder / "main.c");
  EXPECT_FALSE(stage_inputs(plan, 0, places).ok());
}

TEST_F(StepInputsTest, AreTheSameWithAMemoOfTheContext) {
  put_file("sub/one.c", "one");
  put_folder("sub", 0755);
  fs::create_hard_link(places.volume / api::volume::kContextFolder / "main.c",
                       places.volume / api::volume::kContextFolder / "name");
  archive::Node link;
  link.path = "name";
  link.type = archive::NodeType::kHardlink;
  link.link = "main.c";
  put(link);
  run().mounts = {api::BindMount{api::FromContext{}, "sub", "/s"}};
  const auto without = inputs();
  const auto memo = ContentMemo::open({places.volume / api::volume::kContextFolder, "", system_clock_now, true});
  ASSERT_TRUE(memo.ok());
  places.memo = memo->get();
  EXPECT_EQ(inputs(), without);
  EXPECT_GT((*memo)->files_read(), 0U);
  auto context = archive::Tree::open_directory(places.volume / api::volume::kContextFolder, index);
  ASSERT_TRUE(context.ok());
  places.context = std::make_shared<const SourceTree>(std::move(*context));
  EXPECT_EQ(inputs(), without) << "with a context that is opened once";
  // The layer has what the file's first name has, whatever became of its second one.
  fs::remove(places.volume / api::volume::kContextFolder / "name");
  EXPECT_EQ(inputs(), without);
}

TEST_F(StepInputsTest, SeeAFileThatChangesWhileTheStageRuns) {
  WallTime now = system_clock_now() + std::chrono::hours(1);
  const auto memo = ContentMemo::open({places.volume / api::volume::kContextFolder, "", [&] { return now; }, true});
  ASSERT_TRUE(memo.ok());
  places.memo = memo->get();
  const auto before = inputs();
  const std::size_t read = (*memo)->files_read();
  EXPECT_EQ(inputs(), before);
  EXPECT_EQ((*memo)->files_read(), read) << "nothing is read twice";
  const fs::path file = places.volume / api::volume::kContextFolder / "main.c";
  struct stat stat {};
  ASSERT_EQ(::stat(file.c_str(), &stat), 0);
  const archive::FileVersions listed{{"main.c", archive::FileVersion::of(stat)}};
  put_text(file, "int m4in;");
  EXPECT_NE(inputs(), before);
  places.listed = &listed;
  EXPECT_EQ(inputs(), before) << "as the files were listed";
}

TEST_F(StepInputsTest, ReadWhatWasListedAndIsNotKnown) {
  const auto without = inputs();
  const auto memo = ContentMemo::open({places.volume / api::volume::kContextFolder, "", system_clock_now, true});
  ASSERT_TRUE(memo.ok());
  places.memo = memo->get();
  const archive::FileVersions listed{{"main.c", archive::FileVersion{1, 2, 9, 3, 4}}};
  places.listed = &listed;
  EXPECT_EQ(inputs(), without);
  EXPECT_GT((*memo)->files_read(), 0U);
}

}  // namespace
}  // namespace imagebuild::builder
