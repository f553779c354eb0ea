#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "archive/extract.h"
#include "archive/tree_index.h"
#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

Status put_layer(const std::vector<Entry>& layer, TreeIndex& index, const Strings& keep = {}) {
  StringSource tar(tar_of(layer));
  return apply_layer_to_index(tar, keep, index);
}

TreeIndex applied(const std::vector<std::vector<Entry>>& layers, const Strings& keep = {}) {
  TreeIndex index;
  for (const std::vector<Entry>& layer : layers) {
    const Status status = put_layer(layer, index, keep);
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  return index;
}

Strings paths(const TreeIndex& index) {
  Strings all;
  for (const auto& [path, node] : index.nodes()) all.push_back(path);
  return all;
}

TEST(ApplyLayer, PutsAndMakesParents) {
  const TreeIndex index = applied({{file("a/b/c", "c"), folder("a", 0700), device("n", NodeType::kCharDevice, 1, 3)}});
  EXPECT_EQ(paths(index), (Strings{"a", "a/b", "a/b/c", "n"}));
  EXPECT_EQ(index.find("a")->mode, 0700U);
  EXPECT_EQ(index.find("a/b")->mode, 0755U);
  EXPECT_EQ(index.find("n")->device_minor, 3U);
}

TEST(ApplyLayer, RemovesWhatWhiteoutsHide) {
  const std::vector<Entry> lower = {file("f", ""), file("d/a", ""), file("d/sub/b", ""), file("d/both/old", "")};
  EXPECT_EQ(paths(applied({lower, {file(".wh.f", ""), file("d/.wh.sub", ""), file("no/.wh.x", "")}})),
            (Strings{"d", "d/a", "d/both", "d/both/old"}));
  EXPECT_EQ(paths(applied({lower, {file("d/both/new", ""), file("d/new", ""), file("d/.wh..wh..opq", "")}})),
            (Strings{"d", "d/both", "d/both/new", "d/new", "f"}));
  EXPECT_EQ(paths(applied({lower, {file("d/.wh..wh..opq", ""), file("d/both/new", "")}})),
            (Strings{"d", "d/both", "d/both/new", "f"}));
  EXPECT_EQ(paths(applied({lower, {file("d/both/new", ""), file(".wh.d", ""), file("f", ""), file(".wh.f", "")}})),
            (Strings{"d", "d/both", "d/both/new", "f"}));
  EXPECT_EQ(paths(applied({lower, {file("x", ""), file(".wh..wh..opq", "")}})), (Strings{"x"}));
}

TEST(ApplyLayer, FollowsLinkedParentsButReplacesLinks) {
  const TreeIndex index = applied({{folder("usr/lib"), symlink("lib", "usr/lib")},
                                   {file("lib/libc.so", "c"), symlink("up", "../../usr"), file("up/x", "x")},
                                   {symlink("gone", "/made/here"), file("gone/f", "")},
                                   {file("up", "a file now")}});
  EXPECT_NE(index.find("usr/lib/libc.so"), nullptr);
  EXPECT_EQ(index.find("lib")->type, NodeType::kSymlink);
  EXPECT_NE(index.find("usr/x"), nullptr);
  EXPECT_NE(index.find("made/here/f"), nullptr);
  EXPECT_EQ(index.find("up")->type, NodeType::kFile);
}

TEST(ApplyLayer, KeepsTheContentThatIsAskedFor) {
  const Strings keep = {"etc/passwd", "etc/group", "etc/big"};
  const TreeIndex index =
      applied({{file("etc/passwd", "old"), file("etc/group", "g"), file("etc/other", "o")},
               {file("etc/passwd", "root:x:0:0"), file("etc/big", std::string((1 << 20) + 1, 'b'))}},
              keep);
  EXPECT_EQ(index.find("etc/passwd")->content, "root:x:0:0");
  EXPECT_EQ(index.find("etc/group")->content, "g");
  EXPECT_EQ(index.find("etc/other")->content, std::nullopt);
  EXPECT_EQ(index.find("etc/big")->content, std::nullopt);
  const TreeIndex linked = applied({{symlink("etc", "usr/etc")}, {file("etc/passwd", "behind a link")}}, keep);
  EXPECT_EQ(linked.find("usr/etc/passwd")->content, "behind a link");
}

TEST(ApplyLayer, HardLinksOutliveTheFileTheyShared) {
  const std::vector<Entry> lower = {file("a", "12345", 0750), hardlink("b", "a"), hardlink("c", "b")};
  const TreeIndex before = applied({lower});
  EXPECT_EQ(before.find("c")->link, "a");
  for (const std::vector<Entry>& upper : {std::vector<Entry>{file(".wh.a", "")}, {file("a", "x")}, {folder("a")}}) {
    const TreeIndex after = applied({lower, upper});
    ASSERT_EQ(after.find("b")->type, NodeType::kFile);
    EXPECT_EQ(after.find("b")->size_bytes, 5U);
    EXPECT_EQ(after.find("b")->mode, 0750U);
    EXPECT_EQ(after.find("c")->link, "b");
  }
}

TEST(ApplyLayer, AHardLinkMayReplaceTheFolderThatHadItsFile) {
  const TreeIndex index = applied({{file("b/b", "12345"), hardlink("c", "b/b")}, {hardlink("b", "c")}});
  EXPECT_EQ(paths(index), (Strings{"b", "c"}));
  EXPECT_EQ(index.find("b")->link, "c");
  EXPECT_EQ(index.find("c")->size_bytes, 5U);
}

TEST(ApplyLayer, WrongLayersAreErrors) {
  const std::vector<std::pair<const char*, std::vector<Entry>>> cases = {
      {"a file on the way", {file("f", ""), file("f/g", "")}},
      {"a link to nothing", {hardlink("h", "nothing")}},
      {"a link to a folder", {folder("d"), hardlink("h", "d")}},
      {"a link to what it replaces", {file("d/f", ""), hardlink("d", "d/f")}},
      {"a reserved name", {file(".wh...", "")}}};
  for (const auto& [name, layer] : cases) {
    TreeIndex index;
    const Status status = put_layer(layer, index);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, ErrorCode::kCorrupt) << name;
  }
}

TEST(ResolveIn, FollowsLinksInsideTheTree) {
  TreeIndex index;
  for (const Entry& entry :
       {folder("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr"), symlink("up", "../../../usr"),
        symlink("chain", "lib"), symlink("usr/back", "../lib"), symlink("dangling", "no/where"), symlink("a", "b"),
        symlink("b", "a"), hardlink("hard", "lib"), file("f", "")}) {
    index.put(entry.node);
  }
  const struct {
    const char* path;
    bool follow_last;
    const char* expected;
  } cases[] = {{"", true, ""},
               {"/", true, ""},
               {"..", true, ""},
               {"/../../usr/./lib/..", true, "usr"},
               {"lib", false, "lib"},
               {"lib/", false, "lib"},
               {"lib", true, "usr/lib"},
               {"lib/x", false, "usr/lib/x"},
               {"abs/lib/x", false, "usr/lib/x"},
               {"up/lib", true, "usr/lib"},
               {"chain", true, "usr/lib"},
               {"chain/..", true, "usr"},
               {"usr/back/x", true, "usr/lib/x"},
               {"dangling/x", true, "no/where/x"},
               {"dangling", false, "dangling"},
               {"hard/x", true, "usr/lib/x"},
               {"new/../f", true, "f"},
               {"f/x", true, "f/x"},
               {"a", false, "a"}};
  for (const auto& test : cases) {
    const Result<std::string> resolved = resolve_in(index, test.path, test.follow_last);
    ASSERT_TRUE(resolved.ok()) << test.path << resolved.error().message;
    EXPECT_EQ(*resolved, test.expected) << test.path;
  }
  for (const char* path : {"a/x", "b/x"}) {
    const Result<std::string> loop = resolve_in(index, path, false);
    ASSERT_FALSE(loop.ok());
    EXPECT_EQ(loop.error().code, ErrorCode::kInvalidInput);
  }
}

// What is on disk, in the words of an index: hard links name the first path of their file.
std::map<std::string, std::string> on_disk(const fs::path& root) {
  std::map<std::string, std::string> all;
  std::map<ino_t, std::string> first;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0);
    const std::string name = path.lexically_relative(root).string();
    std::string what =
        std::to_string(status.st_mode) + " " + std::to_string(S_ISDIR(status.st_mode) ? 0 : status.st_size);
    if (S_ISLNK(status.st_mode)) what = "-> " + fs::read_symlink(path).string();
    what += " " + std::to_string(status.st_mtime);
    if (!S_ISDIR(status.st_mode)) what += " same as " + first.emplace(status.st_ino, name).first->second;
    all[name] = what;
  }
  return all;
}

std::map<std::string, std::string> in_index(const TreeIndex& index) {
  std::map<std::string, std::string> all;
  std::map<std::string, std::string> first;
  std::vector<std::string> names = paths(index);
  std::sort(names.begin(), names.end(), [](const fs::path& a, const fs::path& b) { return a < b; });
  for (const std::string& name : names) {
    if (name.empty()) continue;
    const Node* node = index.find(name);
    const std::string shared = node->type == NodeType::kHardlink ? node->link : name;
    const Node* real = index.find(shared);
    if (real == nullptr || real->type == NodeType::kHardlink) {
      ADD_FAILURE() << name << " shares " << shared;
      continue;
    }
    const unsigned type = real->type == NodeType::kDirectory ? S_IFDIR : S_IFREG;
    std::string what = std::to_string(type | real->mode) + " " + std::to_string(real->size_bytes);
    if (real->type == NodeType::kSymlink) what = "-> " + real->link;
    what += " " + std::to_string(real->mtime_s);
    if (real->type != NodeType::kDirectory) what += " same as " + first.emplace(shared, name).first->second;
    all[name] = what;
  }
  return all;
}

Entry random_entry(std::minstd_rand& random) {
  const char* names[] = {"a", "b", "c", "d"};
  const auto pick = [&random](unsigned count) { return static_cast<unsigned>(random() >> 5) % count; };
  const auto path = [&] {
    std::string text = names[pick(4)];
    for (unsigned depth = pick(3); depth > 0; --depth) text += std::string("/") + names[pick(4)];
    return text;
  };
  switch (pick(9)) {
    case 0:
    case 1:
      return file(path(), std::string(pick(5), 'x'), 0600 + pick(8));
    case 2:
    case 3:
      return folder(path(), 0700 + pick(8));
    case 4: {
      const char* targets[] = {"a", "b/c", "../a", "/b", "../../c/d", "/", ".", "d/../a", "nowhere"};
      return symlink(path(), targets[pick(9)]);
    }
    case 5:
    case 6:
      return hardlink(path(), path());
    case 7: {
      const std::string whole = path();
      const std::size_t slash = whole.rfind('/');
      const std::size_t at = slash == std::string::npos ? 0 : slash + 1;
      return file(whole.substr(0, at) + ".wh." + whole.substr(at), "");
    }
    default:
      return file(pick(6) == 0 ? ".wh..wh..opq" : path() + "/.wh..wh..opq", "");
  }
}

// Entries that are valid on top of the index, but for one layer in sixteen.
std::vector<Entry> random_layer(std::minstd_rand& random, const TreeIndex& below) {
  std::vector<Entry> entries;
  const bool may_be_wrong = (random() >> 5) % 16 == 0;
  for (unsigned left = 1 + static_cast<unsigned>(random() >> 5) % 8; left > 0; --left) {
    entries.push_back(random_entry(random));
    TreeIndex scratch = below;
    if (!may_be_wrong && !put_layer(entries, scratch).ok()) entries.pop_back();
  }
  return entries;
}

std::string story_of(const std::vector<Entry>& entries) {
  std::string story;
  for (const Entry& entry : entries) {
    story += entry.node.path + "(" + std::to_string(static_cast<int>(entry.node.type)) + " " + entry.node.link + ") ";
  }
  return story;
}

// A folder's time is settled only where the layer itself says it: files are compared with theirs, folders without.
std::map<std::string, std::string> without_folder_times(std::map<std::string, std::string> tree) {
  for (auto& [path, what] : tree) {
    if (what.starts_with("16")) what.resize(what.find(' '));
  }
  return tree;
}

// The index and the disk are two implementations of the same rules: on random layers they have to agree, on errors too.
TEST(ApplyLayer, AgreesWithExtractOnRandomLayers) {
  const fs::path memory = "/dev/shm";
  const Result<TempDir> dir =
      TempDir::create("archive-test-", ::access(memory.c_str(), W_OK) == 0 ? memory : fs::path());
  ASSERT_OK(dir);
  constexpr unsigned kSeeds = 400;
  unsigned failed = 0;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed * 7919);
    const fs::path root = dir->path() / std::to_string(seed);
    fs::create_directory(root);
    const UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    TreeIndex index;
    ExtractOptions options;
    options.keep_owners = ::geteuid() == 0;
    for (int layer = 0; layer < 5; ++layer) {
      const std::vector<Entry> entries = random_layer(random, index);
      SCOPED_TRACE(story_of(entries) + " on " + testing::PrintToString(in_index(index)));
      StringSource tar(tar_of(entries));
      const Status disk = extract(tar, fd.get(), options);
      const Status indexed = put_layer(entries, index);
      ASSERT_EQ(disk.ok(), indexed.ok()) << (disk.ok() ? indexed : disk).error().message;
      if (!disk.ok()) {
        ++failed;
        break;
      }
      ASSERT_EQ(without_folder_times(on_disk(root)), without_folder_times(in_index(index)));
    }
    fs::remove_all(root);
  }
  EXPECT_GT(failed, 0U);
  EXPECT_LT(failed, kSeeds / 2) << "most layers should be valid, or the test says little";
}

}  // namespace
}  // namespace imagebuild::archive
