#include "builder/prepare/context.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <fstream>

#include "archive/tar_writer.h"
#include "archive/tree.h"
#include "base/file.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using archive::Node;
using archive::NodeType;

class ContextTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("context-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directory(folder());
  }
  fs::path folder() const { return temp_->path() / "context"; }
  fs::path tar() const { return temp_->path() / "volume" / "context.tar"; }
  void write(const std::string& path, const std::string& content, unsigned mode = 0644) {
    fs::create_directories((folder() / path).parent_path());
    std::ofstream(folder() / path) << content;
    fs::permissions(folder() / path, fs::perms(mode));
  }
  std::vector<std::string> paths(const std::string& ignore, const std::string& given) {
    const auto context = Context::open(given, tar());
    EXPECT_TRUE(context.ok()) << context.error().message;
    const auto rules = dockerfile::IgnoreRules::parse(ignore);
    EXPECT_TRUE(rules.ok());
    const auto index = context->index(*rules);
    EXPECT_TRUE(index.ok()) << index.error().message;
    std::vector<std::string> result;
    for (const auto& [path, node] : index->nodes()) result.push_back(path);
    return result;
  }
  // The folder as a tar that our own writer made.
  std::string as_tar(const std::vector<std::pair<Node, std::string>>& nodes) {
    const fs::path file = temp_->path() / "given.tar";
    auto fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC);
    FileSink sink(std::move(*fd));
    archive::TarWriter writer(sink);
    for (auto [node, content] : nodes) {
      if (node.type == NodeType::kFile) node.size_bytes = content.size();
      StringSource source(content);
      EXPECT_TRUE(writer.add(node, &source).ok());
    }
    EXPECT_TRUE(writer.finish().ok());
    return file.string();
  }
  std::optional<TempDir> temp_;
};

using Paths = std::vector<std::string>;

TEST_F(ContextTest, HoldsFilesFoldersAndLinksOfAFolder) {
  write("src/main.c", "int main;", 0755);
  write(".hidden", "h");
  fs::create_symlink("src/main.c", folder() / "link");
  fs::create_directory(folder() / "empty");
  EXPECT_EQ(paths("", folder()), (Paths{".hidden", "empty", "link", "src", "src/main.c"}));
  const auto context = Context::open(folder(), tar());
  const auto index = context->index({});
  const Node* main = index->find("src/main.c");
  EXPECT_EQ(main->mode, 0755U);
  EXPECT_EQ(main->size_bytes, 9U);
  EXPECT_EQ(main->uid, 0U);
  EXPECT_EQ(index->find("link")->link, "src/main.c");
}

TEST_F(ContextTest, LeavesOutWhatIsIgnoredButNotTheExceptionsBelowIt) {
  write("keep.txt", "");
  write("node_modules/a/index.js", "");
  write("node_modules/b/keep.js", "");
  write("logs/x.log", "");
  EXPECT_EQ(paths("node_modules\n!node_modules/b/keep.js\nlogs\n", folder()),
            (Paths{"keep.txt", "node_modules", "node_modules/b", "node_modules/b/keep.js"}));
}

TEST_F(ContextTest, KnowsTheNamesOfOneFile) {
  write("b", "text");
  fs::create_hard_link(folder() / "b", folder() / "a");
  fs::create_directory(folder() / "s");
  fs::create_hard_link(folder() / "b", folder() / "s/c");
  const auto context = Context::open(folder(), tar());
  const auto index = context->index({});
  EXPECT_EQ(index->find("a")->type, NodeType::kFile);
  for (const char* other : {"b", "s/c"}) {
    EXPECT_EQ(index->find(other)->type, NodeType::kHardlink);
    EXPECT_EQ(index->find(other)->link, "a");
  }
  const auto without = context->index(*dockerfile::IgnoreRules::parse("a"));
  EXPECT_EQ(without->find("b")->type, NodeType::kFile);
  EXPECT_EQ(without->find("s/c")->link, "b");
  fs::create_directory(tar().parent_path());
  const auto packed = context->pack(*index, tar());
  ASSERT_TRUE(packed.ok()) << packed.error().message;
  EXPECT_EQ(packed->find("s/c")->link, "a");
}

TEST_F(ContextTest, KeepsFileCapabilities) {
  write("ping", "");
  // cap_net_raw+ep, as of version 2 of the attribute.
  const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  if (::setxattr((folder() / "ping").c_str(), "security.capability", capability.data(), capability.size(), 0) != 0) {
    GTEST_SKIP() << "setting a capability needs root";
  }
  const auto index = Context::open(folder(), tar())->index({});
  EXPECT_EQ(index->find("ping")->xattrs.at("security.capability"), capability);
}

TEST_F(ContextTest, LeavesOutSockets) {
  write("a", "");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder() / "s").string();
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(fd);
  EXPECT_EQ(paths("", folder()), (Paths{"a"}));
}

TEST_F(ContextTest, ReadsATarTheSameWay) {
  const std::string file = as_tar({{Node{.path = "src", .type = NodeType::kDirectory, .mode = 0755}, ""},
                                   {Node{.path = "src/a.c", .mode = 0644, .uid = 1000}, "AAA"},
                                   {Node{.path = "twin", .type = NodeType::kHardlink, .link = "src/a.c"}, ""},
                                   {Node{.path = "skip/me", .mode = 0644}, "no"}});
  EXPECT_EQ(paths("skip\n", file), (Paths{"src", "src/a.c", "twin"}));
  const auto context = Context::open(file, tar());
  ASSERT_TRUE(context.ok());
  EXPECT_TRUE(context->folder().empty());
  const auto index = context->index({});
  EXPECT_EQ(index->find("src/a.c")->uid, 0U);
  const auto tree = archive::Tree::open_tar(tar(), *index);
  ASSERT_TRUE(tree.ok());
  for (const char* path : {"src/a.c", "twin"}) {
    auto source = tree->open(*index->find(path));
    ASSERT_TRUE(source.ok()) << path;
    EXPECT_EQ(*read_all(**source, 100), "AAA") << path;
  }
  EXPECT_EQ(*context->read("src/a.c", 100), std::optional<std::string>("AAA"));
  EXPECT_EQ(*context->read("nothing", 100), std::nullopt);
}

TEST_F(ContextTest, PacksAFolderIntoATar) {
  write("src/a.c", "AAA");
  write("empty", "");
  fs::create_symlink("src", folder() / "link");
  const auto context = Context::open(folder(), tar());
  fs::create_directories(tar().parent_path());
  const auto packed = context->pack(*context->index({}), tar());
  ASSERT_TRUE(packed.ok()) << packed.error().message;
  const auto tree = archive::Tree::open_tar(tar(), *packed);
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(*read_all(**tree->open(*packed->find("src/a.c")), 100), "AAA");
  EXPECT_EQ(*read_all(**tree->open(*packed->find("empty")), 100), "");
  EXPECT_EQ(packed->find("link")->link, "src");
}

TEST_F(ContextTest, ReadsSmallFilesOfAFolder) {
  write("Dockerfile", "FROM scratch\n");
  const auto context = Context::open(folder(), tar());
  EXPECT_EQ(*context->read("Dockerfile", 100), std::optional<std::string>("FROM scratch\n"));
  EXPECT_EQ(*context->read("nothing", 100), std::nullopt);
  EXPECT_EQ(context->read("Dockerfile", 3).error().code, ErrorCode::kLimit);
}

TEST_F(ContextTest, RefusesWhatIsNoContext) {
  write("text", "just text, no archive");
  const struct {
    std::string given;
    ErrorCode code;
    const char* message;
  } rows[] = {
      {(temp_->path() / "missing").string(), ErrorCode::kNotFound, "does not exist"},
      {(folder() / "text").string(), ErrorCode::kInvalidInput, "neither a folder nor a tar archive"},
  };
  for (const auto& row : rows) {
    const auto context = Context::open(row.given, tar());
    ASSERT_FALSE(context.ok()) << row.given;
    EXPECT_EQ(context.error().code, row.code);
    EXPECT_NE(context.error().message.find(row.message), std::string::npos) << context.error().message;
  }
}

TEST_F(ContextTest, KeepsTheHardLinksOfATar) {
  const auto link = [](const char* path, const char* target) {
    return std::pair<Node, std::string>{Node{.path = path, .type = NodeType::kHardlink, .link = target}, ""};
  };
  const std::string file = as_tar({{Node{.path = "a", .mode = 0644}, "AAA"},
                                   link("b", "a"),
                                   link("c", "b"),
                                   {Node{.path = "x", .mode = 0644}, "old"},
                                   link("y", "x"),
                                   link("z", "x"),
                                   {Node{.path = "x", .mode = 0644}, "new"}});
  const auto context = Context::open(file, tar());
  ASSERT_TRUE(context.ok()) << context.error().message;
  const auto index = context->index({});
  EXPECT_EQ(index->find("b")->link, "a");
  EXPECT_EQ(index->find("c")->link, "a");  // Never to a link.
  EXPECT_EQ(index->find("z")->link, "y");  // What x was goes on under its other names.
  const auto tree = archive::Tree::open_tar(tar(), *index);
  ASSERT_TRUE(tree.ok());
  const auto content = [&](const char* path) {
    auto source = tree->open(*index->find(path));
    return source.ok() ? *read_all(**source, 100) : source.error().message;
  };
  EXPECT_EQ(content("c"), "AAA");
  EXPECT_EQ(*context->read("c", 100), std::optional<std::string>("AAA"));
  EXPECT_EQ(content("x"), "new");
  EXPECT_EQ(content("z"), "old");
  // Without the file, its first name becomes one.
  const auto without = context->index(*dockerfile::IgnoreRules::parse("a\n"));
  EXPECT_EQ(without->find("a"), nullptr);
  EXPECT_EQ(without->find("b")->type, NodeType::kFile);
  EXPECT_EQ(without->find("c")->link, "b");
}

TEST_F(ContextTest, RefusesATarThatLinksToNothing) {
  const std::string file = as_tar({{Node{.path = "twin", .type = NodeType::kHardlink, .link = "gone"}, ""}});
  const auto context = Context::open(file, tar());
  ASSERT_FALSE(context.ok());
  EXPECT_EQ(context.error().code, ErrorCode::kInvalidInput);
}

}  // namespace
}  // namespace imagebuild::builder
