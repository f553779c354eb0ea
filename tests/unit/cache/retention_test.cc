#include "builder/cache/retention.h"

#include <gtest/gtest.h>

namespace imagebuild::builder {
namespace {

struct One {
  std::int64_t used_s;
  std::uint64_t own_bytes;
  std::vector<SharedFile> files;
};

struct Row {
  const char* name;
  CacheLimits limits;
  std::vector<One> results;  // The last used one first.
  std::vector<bool> stays;
  std::uint64_t bytes;
};

class RetentionTest : public testing::TestWithParam<Row> {};

TEST_P(RetentionTest, Decides) {
  Retention retention(GetParam().limits);
  std::vector<bool> stays;
  for (const One& one : GetParam().results) stays.push_back(retention.keeps(one.used_s, one.own_bytes, one.files));
  EXPECT_EQ(stays, GetParam().stays);
  EXPECT_EQ(retention.bytes(), GetParam().bytes);
}

const std::vector<Row> kRows = {
    {"WithoutLimitsEverythingStays", {}, {{9, 1, {{"a", 10}}}, {1, 1, {{"b", 20}}}}, {true, true}, 32},
    {"WhatWasNotUsedForTooLongGoes",
     {.unused_before_s = 5},
     {{5, 0, {{"a", 10}}}, {4, 0, {{"b", 1}}}},
     {true, false},
     10},
    {"AFileOfSeveralResultsCountsOnce",
     {.max_bytes = 12},
     {{9, 1, {{"a", 10}}}, {8, 1, {{"a", 10}}}},
     {true, true},
     12},
    {"AFileNamedTwiceByOneResultCountsOnce", {.max_bytes = 10}, {{9, 0, {{"a", 10}, {"a", 10}}}}, {true}, 10},
    {"WhatATooOldResultNamesTakesNoRoom",
     {.max_bytes = 10, .unused_before_s = 5},
     {{4, 0, {{"a", 10}}}, {9, 0, {{"b", 10}}}},
     {false, true},
     10},
    {"AfterOneThatHasNoRoomNoneStays",
     {.max_bytes = 15},
     {{9, 0, {{"a", 10}}}, {8, 0, {{"b", 10}}}, {7, 0, {{"c", 1}}}},
     {true, false, false},
     10},
    {"WhatAResultTakesItselfCounts", {.max_bytes = 10}, {{9, 11, {}}}, {false}, 0},
};

INSTANTIATE_TEST_SUITE_P(Rows, RetentionTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Retention, NamesTheFilesOfWhatStays) {
  Retention retention({.max_bytes = 10});
  EXPECT_TRUE(retention.keeps(9, 0, {{"a", 10}}));
  EXPECT_FALSE(retention.keeps(8, 0, {{"b", 1}}));
  EXPECT_TRUE(retention.names("a"));
  EXPECT_FALSE(retention.names("b"));
}

}  // namespace
}  // namespace imagebuild::builder
