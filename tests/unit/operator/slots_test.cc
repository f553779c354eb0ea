#include "operator/slots.h"

#include <gtest/gtest.h>

namespace imagebuild::op {
namespace {

WallTime at(int second) {
  return WallTime(std::chrono::seconds(second));
}
kube::ObjectKey key(const std::string& name) {
  return {"ns", name};
}

TEST(Slots, GivesNoMoreThanThereAre) {
  Slots slots(2);
  EXPECT_TRUE(slots.request("a", key("a"), at(1)));
  EXPECT_TRUE(slots.request("b", key("b"), at(2)));
  EXPECT_FALSE(slots.request("c", key("c"), at(3)));
  EXPECT_TRUE(slots.request("a", key("a"), at(1))) << "it has one already";
  EXPECT_EQ(slots.held(), 2U);
}

TEST(Slots, GivesAFreedOneToTheOldestThatWaits) {
  Slots slots(1);
  EXPECT_TRUE(slots.request("a", key("a"), at(1)));
  EXPECT_FALSE(slots.request("young", key("young"), at(3)));
  EXPECT_FALSE(slots.request("old", key("old"), at(2)));
  const auto next = slots.release("a");
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0], key("old"));
  EXPECT_FALSE(slots.request("young", key("young"), at(3))) << "it asks first, but another waits for longer";
  EXPECT_TRUE(slots.request("old", key("old"), at(2)));
}

TEST(Slots, LetsWhoeverGaveUpNotBlockTheRest) {
  Slots slots(1);
  EXPECT_TRUE(slots.request("a", key("a"), at(1)));
  EXPECT_FALSE(slots.request("b", key("b"), at(2)));
  EXPECT_FALSE(slots.request("c", key("c"), at(3)));
  EXPECT_TRUE(slots.release("b").empty());
  EXPECT_EQ(slots.release("a"), std::vector{key("c")});
}

TEST(Slots, KeepsWhatWasUnderWayBeforeEvenBeyondTheLimit) {
  Slots slots(1);
  slots.hold("a");
  slots.hold("b");
  EXPECT_EQ(slots.held(), 2U);
  EXPECT_FALSE(slots.request("c", key("c"), at(1)));
  EXPECT_TRUE(slots.release("a").empty()) << "there is still one too many";
  EXPECT_EQ(slots.release("b"), std::vector{key("c")});
}

TEST(Slots, WithoutALimitNobodyWaits) {
  Slots slots(0);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(slots.request(std::to_string(i), key(std::to_string(i)), at(i)));
}

}  // namespace
}  // namespace imagebuild::op
