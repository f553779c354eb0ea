#include "builder/stage/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trees.h"

namespace imagebuild::builder {
namespace {

using ::testing::HasSubstr;

class Users : public ::testing::Test {
 protected:
  void SetUp() override {
    add("etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbroken\nalso:x:no:1::/:\n:x:7:7::/:\n1000:x:55:55::/odd:\n"
        "app:x:1000:100::/home/app:/bin/sh\nhuge:x:4294967296:0::/:/\n");
    add("etc/group", "root:x:0:\nusers:x:100:\nnonsense\nwheel:x:10:root,app\nadm:x:4:app\n");
  }
  void add(const std::string& path, const std::string& content) {
    archive::Node node;
    node.path = path;
    node.content = content;
    node.size_bytes = content.size();
    tree_.index().put(node);
  }
  testing::MemoryTree tree_{"etc/"};
};

TEST_F(Users, ResolvesEachFormOfUser) {
  struct Row {
    const char* user;
    std::uint32_t uid, gid;
    std::vector<std::uint32_t> groups;
    const char* home;
  };
  const std::vector<Row> rows = {
      {"", 0, 0, {0, 10}, "/root"},
      {"app", 1000, 100, {4, 10, 100}, "/home/app"},
      {"app:wheel", 1000, 10, {10}, "/home/app"},
      {"app:77", 1000, 77, {77}, "/home/app"},
      {"0", 0, 0, {0, 10}, "/root"},
      {"4321", 4321, 0, {0}, "/"},
      {"4321:users", 4321, 100, {100}, "/"},
      {"1000", 55, 55, {55}, "/odd"},  // A name that looks like a number is a name first.
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.user);
    const auto account = resolve_user(tree_.view(), row.user);
    ASSERT_TRUE(account.ok()) << account.error().message;
    EXPECT_EQ(account->uid, row.uid);
    EXPECT_EQ(account->gid, row.gid);
    EXPECT_EQ(account->groups, row.groups);
    EXPECT_EQ(account->home, row.home);
  }
}

TEST_F(Users, ResolvesEachFormOfOwner) {
  struct Row {
    const char* owner;
    Owner wanted;
  };
  const std::vector<Row> rows = {
      {"app", {1000, 100}}, {"app:wheel", {1000, 10}}, {"5", {5, 5}},
      {"5:6", {5, 6}},      {"5:adm", {5, 4}},         {":wheel", {0, 10}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.owner);
    const auto owner = resolve_owner(tree_.view(), row.owner);
    ASSERT_TRUE(owner.ok()) << owner.error().message;
    EXPECT_EQ(*owner, row.wanted);
  }
}

TEST_F(Users, NamesWhatIsMissing) {
  struct Row {
    const char* user;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"apo", "unknown user 'apo': the stage's /etc/passwd has no such name; did you mean 'app'?"},
      {"app:weel", "unknown group 'weel': the stage's /etc/group has no such name; did you mean 'wheel'?"},
      {"a:b:c", "not of the form"},
      {"app:", "not of the form"},
      {"99999999999", "too large"},
      {"4294967295", "too large"},
      {"huge", "unknown user"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.user);
    const auto account = resolve_user(tree_.view(), row.user);
    ASSERT_FALSE(account.ok());
    EXPECT_THAT(account.error().message, HasSubstr(row.message));
    EXPECT_EQ(account.error().exit_status(), kExitFailed);
  }
}

TEST(UsersWithoutFiles, KnowNumbersOnly) {
  const testing::MemoryTree empty({"bin/"});
  EXPECT_EQ(resolve_user(empty.view(), "")->home, "/");
  EXPECT_EQ(resolve_user(empty.view(), "12:13")->gid, 13U);
  EXPECT_THAT(resolve_user(empty.view(), "app").error().message, HasSubstr("has no /etc/passwd, so use a number"));
}

}  // namespace
}  // namespace imagebuild::builder
