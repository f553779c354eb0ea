#include "base/timestamp.h"

#include <gtest/gtest.h>

namespace imagebuild {
namespace {

TEST(Timestamps, AreWrittenAndReadBack) {
  const WallTime time(std::chrono::microseconds(1'700'000'000'123'456));
  EXPECT_EQ(time_text(time), "2023-11-14T22:13:20Z");
  EXPECT_EQ(micro_time_text(time), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(parse_time("2023-11-14T22:13:20.123456Z"), time);
  EXPECT_EQ(parse_time("2023-11-14T23:13:20.123456789+01:00"), time);
  EXPECT_EQ(parse_time("2023-11-14T22:13:20Z"), std::chrono::floor<std::chrono::seconds>(time));
  EXPECT_EQ(time_text(*parse_time("1999-12-31T23:59:59Z")), "1999-12-31T23:59:59Z");
}

TEST(Timestamps, OfNoKnownFormAreRefused) {
  for (const char* wrong :
       {"", "2023-11-14", "2023-13-14T22:13:20Z", "1999-02-30T00:00:00Z", "2023-11-14T22:13:20", "2023-11-14T25:13:20Z",
        "1999-12-31T24:00:00Z", "2023-11-14T22:13:20Zx", "x023-11-14T22:13:20Z"}) {
    EXPECT_FALSE(parse_time(wrong)) << wrong;
  }
}

TEST(Durations, AreWrittenForPeople) {
  using std::chrono::seconds;
  EXPECT_EQ(duration_text(seconds(0)), "0s");
  EXPECT_EQ(duration_text(seconds(-5)), "0s");
  EXPECT_EQ(duration_text(seconds(80)), "1m20s");
  EXPECT_EQ(duration_text(seconds(3600)), "1h0m0s");
}

}  // namespace
}  // namespace imagebuild
