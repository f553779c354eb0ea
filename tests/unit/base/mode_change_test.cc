#include "base/mode_change.h"

#include <gtest/gtest.h>

namespace imagebuild {
namespace {

struct Row {
  const char* change;
  std::uint32_t before;
  std::uint32_t after;
  bool is_directory = false;
};

// The results are those of chmod(1) with a umask of 0, where both agree with BuildKit.
constexpr Row kRows[] = {
    {"755", 0600, 0755},
    {"0", 07777, 0},
    {"4711", 0644, 04711},
    {"u+x", 0644, 0744},
    {"+x", 0644, 0755},
    {"a+x", 0644, 0755},
    {"+w", 0444, 0666},
    {"go-w", 0666, 0644},
    {"u+x,go-w", 0666, 0744},
    {"u+r-w", 0200, 0400},
    {"u=rw,go=r", 0777, 0644},
    {"go=", 0777, 0700},
    {"=", 0777, 0},
    {"u=rwX,go=rX", 0600, 0644},
    {"u=rwX,go=rX", 0711, 0755},
    {"u=rwX,go=rX", 0700, 0755, true},
    {"a+X", 0644, 0644},
    {"a+X", 0644, 0755, true},
    {"a+X", 0744, 0755},
    {"a-x,a+X", 0744, 0755},
    {"a-X", 0755, 0644},
    {"g=u", 0640, 0660},
    {"g=u", 02640, 02660},
    {"go=u-w", 0700, 0755},
    {"o+g", 0751, 0755},
    {"u-g", 0750, 0250},
    {"u+s", 0755, 04755},
    {"g+s", 0755, 02755},
    {"+s", 0755, 06755},
    {"o+s", 0755, 0755},
    {"ug-s", 06755, 0755},
    {"+t", 0777, 01777, true},
    {"o+t", 0777, 0777, true},
    {"-t", 01777, 0777, true},
    {"a=rwx,+t", 0700, 01777, true},
    {"u=rwx", 04644, 0744},
};

TEST(ModeChange, DoesWhatChmodDoes) {
  for (const Row& row : kRows) {
    const auto change = ModeChange::parse(row.change);
    ASSERT_TRUE(change.ok()) << row.change << ": " << change.error().message;
    EXPECT_EQ(change->apply(row.before, row.is_directory), row.after)
        << row.change << std::oct << " of 0" << row.before << " gives 0" << change->apply(row.before, row.is_directory);
  }
}

TEST(ModeChange, RefusesWhatIsNoMode) {
  for (const char* text :
       {"", "8", "888", "10000", "0x1", "7 5", "u", "x", "rwx", "u+x,", ",u+x", "u+q", "z+x", "u x"}) {
    const auto change = ModeChange::parse(text);
    EXPECT_FALSE(change.ok()) << text;
  }
}

}  // namespace
}  // namespace imagebuild
