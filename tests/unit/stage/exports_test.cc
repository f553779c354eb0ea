#include "builder/stage/exports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/tree.h"
#include "base/file.h"
#include "trees.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAreArray;
using testing::MemoryTree;

class Exports : public ::testing::Test {
 protected:
  std::vector<std::string> paths(const MemoryTree& root, const std::vector<std::string>& patterns) {
    const auto bytes = write_exports(root.view(), patterns, folder_.path() / "t", folder_.path() / "i", {});
    if (!bytes.ok()) return {bytes.error().message};
    bytes_ = *bytes;
    const auto index = archive::TreeIndex::load(folder_.path() / "i");
    if (!index.ok()) return {index.error().message};
    std::vector<std::string> names;
    for (const auto& [path, node] : index->nodes()) names.push_back(path);
    return names;
  }
  TempDir folder_ = *TempDir::create("exports-");
  std::uint64_t bytes_ = 0;
};

TEST_F(Exports, TakeWhatACopyCanReach) {
  const MemoryTree root({"usr/", "usr/lib/", "usr/lib/a.so =1", "usr/lib/b.so =22", "usr/lib/d/", "usr/lib/d/x =3",
                         "lib ->usr/lib", "cur ->opt/v1", "opt/", "opt/v1/", "opt/v1/f =444", "other =5"});
  struct Row {
    const char* name;
    std::vector<std::string> patterns;
    std::vector<std::string> wanted;
  };
  const std::vector<Row> rows = {
      {"a file through a link", {"lib/a.so"}, {"lib", "usr", "usr/lib", "usr/lib/a.so"}},
      {"a wildcard through a link", {"lib/*.so"}, {"lib", "usr", "usr/lib", "usr/lib/a.so", "usr/lib/b.so"}},
      {"a folder with all below", {"usr/lib/d"}, {"usr", "usr/lib", "usr/lib/d", "usr/lib/d/x"}},
      {"a link that is named", {"cur"}, {"cur", "opt", "opt/v1", "opt/v1/f"}},
      {"any folders, behind a link", {"lib/**/x"}, {"lib", "usr", "usr/lib", "usr/lib/d", "usr/lib/d/x"}},
      {"no folder too", {"opt/v1/**/f"}, {"opt", "opt/v1", "opt/v1/f"}},
      {"nothing", {"missing", "no*"}, {}},
      {"overlapping", {"opt", "opt/v1/f"}, {"opt", "opt/v1", "opt/v1/f"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_THAT(paths(root, row.patterns), ElementsAreArray(row.wanted));
  }
}

TEST_F(Exports, GiveContentBackAndCountIt) {
  const MemoryTree root({"a/", "a/one =first", "a/two @a/one"});
  paths(root, {"a/two"});
  EXPECT_EQ(bytes_, 5U);
  auto tree = archive::Tree::open_tar(folder_.path() / "t", *archive::TreeIndex::load(folder_.path() / "i"));
  ASSERT_TRUE(tree.ok());
  auto content = tree->open(*tree->index().find("a/two"));
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(*read_all(**content, 100), "first");
}

}  // namespace
}  // namespace imagebuild::builder
