#include "archive/tree.h"

#include <sys/stat.h>

#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

TreeIndex index_of(const std::vector<Entry>& entries) {
  TreeIndex index;
  for (const Entry& entry : entries) index.put(entry.node);
  return index;
}

std::vector<std::string> paths(const TreeIndex& index) {
  std::vector<std::string> all;
  for (const auto& [path, node] : index.nodes()) all.push_back(path);
  return all;
}

using Strings = std::vector<std::string>;

TEST(TreeIndex, KeepsAFolderRightBeforeWhatIsBelowIt) {
  const TreeIndex index = index_of({file("a!", ""), file("a/b!", ""), folder("a/b"), file("a/b/c", ""), folder("a"),
                                    file("a\xff", ""), folder(""), file("a\x01", "")});
  EXPECT_EQ(paths(index), (Strings{"", "a", "a/b", "a/b/c", "a/b!", "a\x01", "a!", "a\xff"}));
}

TEST(TreeIndex, ListsTheNamesDirectlyBelow) {
  const TreeIndex index = index_of({folder(""), folder("a"), file("a/z", ""), folder("a/b"), file("a/b/c", ""),
                                    file("a/b!", ""), file("implied/deep/f", ""), file("ab", "")});
  EXPECT_EQ(index.children(""), (Strings{"a", "ab", "implied"}));
  EXPECT_EQ(index.children("a"), (Strings{"b", "b!", "z"}));
  EXPECT_EQ(index.children("implied"), (Strings{"deep"}));
  EXPECT_EQ(index.children("a/z"), Strings{});
  EXPECT_EQ(index.children("none"), Strings{});
}

TEST(TreeIndex, ReplacingAFolderRemovesWhatWasBelow) {
  TreeIndex index = index_of({folder("a"), file("a/b", "1"), file("a/c/d", "22"), file("ab", "333")});
  EXPECT_EQ(index.content_bytes(), 6U);
  index.put(folder("a", 0700).node);
  EXPECT_EQ(index.nodes().size(), 4U);
  EXPECT_EQ(index.find("a")->mode, 0700U);
  index.put(symlink("a", "ab").node);
  EXPECT_EQ(paths(index), (Strings{"a", "ab"}));
  EXPECT_EQ(index.find("a/b"), nullptr);
}

TEST(TreeIndex, RemovesASubtree) {
  const std::vector<Entry> entries = {folder(""), folder("a"), file("a/b", ""), file("a!", ""), file("b", "")};
  TreeIndex below = index_of(entries);
  below.remove_below("a");
  EXPECT_EQ(paths(below), (Strings{"", "a", "a!", "b"}));
  TreeIndex whole = index_of(entries);
  whole.remove("a");
  EXPECT_EQ(paths(whole), (Strings{"", "a!", "b"}));
  whole.remove_below("");
  EXPECT_EQ(paths(whole), (Strings{""}));
  whole.remove("");
  EXPECT_TRUE(whole.nodes().empty());
}

TreeIndex rich_index() {
  TreeIndex index = index_of({folder(""), folder("bin"), file("bin/sh", "12345", 04755), symlink("lib", "usr/lib"),
                              hardlink("bin/bash", "bin/sh"), device("null", NodeType::kCharDevice, 1, 3)});
  Node odd = file("odd\xff", "content").node;
  odd.uid = 4'000'000'000;
  odd.mtime_s = INT64_MIN;
  odd.xattrs = {{"user.a", std::string("\0\1", 2)}, {"user.b", ""}};
  odd.content = std::string("content");
  odd.data_offset = UINT64_MAX;
  index.put(odd);
  Node late = file("z", "").node;
  late.mtime_s = INT64_MAX;
  index.put(late);
  return index;
}

TEST(TreeIndex, ComesBackFromDisk) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  const TreeIndex index = rich_index();
  ASSERT_OK(index.save(dir->path() / "index"));
  const Result<TreeIndex> loaded = TreeIndex::load(dir->path() / "index");
  ASSERT_OK(loaded);
  EXPECT_TRUE(loaded->nodes() == index.nodes());
  ASSERT_OK(TreeIndex().save(dir->path() / "empty"));
  const Result<TreeIndex> empty = TreeIndex::load(dir->path() / "empty");
  ASSERT_OK(empty);
  EXPECT_TRUE(empty->nodes().empty());
}

TEST(TreeIndex, EveryChangedOrMissingByteIsCorrupt) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  const auto path = dir->path() / "index";
  ASSERT_OK(rich_index().save(path));
  const std::string bytes = read_text(path);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    write_text(path, changed);
    const Result<TreeIndex> flipped = TreeIndex::load(path);
    ASSERT_FALSE(flipped.ok()) << i;
    EXPECT_EQ(flipped.error().code, ErrorCode::kCorrupt);
    write_text(path, bytes.substr(0, i));
    EXPECT_FALSE(TreeIndex::load(path).ok()) << i;
  }
}

TEST(Tree, ReadsFromATar) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  StringSink sink;
  TarWriter writer(sink);
  TreeIndex index;
  for (const Entry& entry : {file("a", "first"), file("b", "second one"), file("empty", ""), hardlink("c", "b")}) {
    StringSource content(entry.content);
    ASSERT_OK(writer.add(entry.node, &content));
    Node node = entry.node;
    node.data_offset = writer.last_content_offset();
    index.put(node);
  }
  ASSERT_OK(writer.finish());
  write_text(dir->path() / "a.tar", sink.text());
  const Result<Tree> tree = Tree::open_tar(dir->path() / "a.tar", index);
  ASSERT_OK(tree);
  for (const auto& [path, text] :
       std::map<std::string, std::string>{{"a", "first"}, {"b", "second one"}, {"c", "second one"}, {"empty", ""}}) {
    Result<std::unique_ptr<ByteSource>> source = tree->open(*tree->index().find(path));
    ASSERT_OK(source);
    EXPECT_EQ(*read_all(**source, 100), text);
  }
  write_text(dir->path() / "cut.tar", sink.text().substr(0, 512 + 3));
  const Result<Tree> cut = Tree::open_tar(dir->path() / "cut.tar", index);
  ASSERT_OK(cut);
  const Result<std::string> text = read_all(**cut->open(*index.find("a")), 100);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ErrorCode::kCorrupt);
}

TEST(Tree, ReadsFromAFolderWithoutLeavingIt) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  const auto root = dir->path() / "root";
  std::filesystem::create_directories(root / "sub");
  write_text(dir->path() / "outside", "secret");
  write_text(root / "sub/inside", "inside");
  std::filesystem::create_symlink(dir->path() / "outside", root / "link");
  std::filesystem::create_symlink("sub", root / "way");
  ASSERT_EQ(::mkfifo((root / "pipe").c_str(), 0600), 0);
  const TreeIndex index = index_of({file("sub/inside", "inside"), file("link", "secret"), file("way/inside", "inside"),
                                    file("pipe", ""), file("gone", "")});
  const Result<Tree> tree = Tree::open_directory(root, index);
  ASSERT_OK(tree);
  Result<std::unique_ptr<ByteSource>> good = tree->open(*index.find("sub/inside"));
  ASSERT_OK(good);
  EXPECT_EQ(*read_all(**good, 100), "inside");
  for (const char* path : {"link", "way/inside", "pipe", "gone"})
    EXPECT_FALSE(tree->open(*index.find(path)).ok()) << path;
}

TEST(Tree, NoticesAFileThatChangedSize) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  write_text(dir->path() / "f", "12345");
  const TreeIndex index = index_of({file("f", "12345")});
  const Result<Tree> tree = Tree::open_directory(dir->path(), index);
  ASSERT_OK(tree);
  for (const std::uintmax_t size : {std::uintmax_t{3}, std::uintmax_t{9}}) {
    write_text(dir->path() / "f", "12345");
    Result<std::unique_ptr<ByteSource>> before = tree->open(*index.find("f"));
    ASSERT_OK(before);
    std::filesystem::resize_file(dir->path() / "f", size);
    const Result<std::string> during = read_all(**before, 100);
    ASSERT_FALSE(during.ok()) << size;
    EXPECT_EQ(during.error().code, ErrorCode::kInvalidInput);
    const Result<std::unique_ptr<ByteSource>> after = tree->open(*index.find("f"));
    ASSERT_FALSE(after.ok());
    EXPECT_EQ(after.error().code, ErrorCode::kInvalidInput);
  }
}

}  // namespace
}  // namespace imagebuild::archive
