#include "dockerfile/location.h"

#include <gtest/gtest.h>

namespace imagebuild::dockerfile {
namespace {

Diagnostic wrong(int line, int column) {
  return {ErrorCode::kInvalidInput, {line, column}, "wrong"};
}

TEST(LocatedError, NamesFileLineAndColumn) {
  EXPECT_EQ(located_error("a/Dockerfile", {3, 7}, "wrong").message, "a/Dockerfile:3:7: wrong");
  EXPECT_EQ(located_error("a/Dockerfile", {0, 0}, "wrong", ErrorCode::kLimit).message, "a/Dockerfile: wrong");
  EXPECT_EQ(located_error("a/Dockerfile", {0, 0}, "wrong", ErrorCode::kLimit).code, ErrorCode::kLimit);
}

TEST(Render, PutsTheCaretBelowTheColumn) {
  EXPECT_EQ(render("D", "FROM a\nRUNN b\n", wrong(2, 6)), "D:2:6: wrong\n  2 | RUNN b\n    |      ^\n");
}

TEST(Render, ShowsTabsAsBlanksAndCountsCharacters) {
  EXPECT_EQ(render("D", "\tä x\n", wrong(1, 5)), "D:1:5: wrong\n  1 |  ä x\n    |    ^\n");
}

TEST(Render, TakesAColumnBehindTheEndAsTheEnd) {
  EXPECT_EQ(render("D", "ab\r\n", wrong(1, 99)), "D:1:99: wrong\n  1 | ab\n    |   ^\n");
}

TEST(Render, ShowsNoSourceForALineThatIsNotThere) {
  EXPECT_EQ(render("D", "ab\n", wrong(2, 1)), "D:2:1: wrong\n");
  EXPECT_EQ(render("D", "", wrong(1, 1)), "D:1:1: wrong\n");
  EXPECT_EQ(render("D", "ab\n", wrong(0, 0)), "D: wrong\n");
}

TEST(Render, CutsLongLinesAroundTheColumn) {
  const std::string text = render("D", std::string(500, 'a') + "X" + std::string(500, 'b'), wrong(1, 501));
  EXPECT_EQ(text, "D:1:501: wrong\n  1 | …" + std::string(60, 'a') + "X" + std::string(39, 'b') + "…\n    | " +
                      std::string(61, ' ') + "^\n");
}

TEST(Render, ReadsThePositionOfAnError) {
  EXPECT_EQ(render("x:1", "ab\n", located_error("x:1", {1, 2}, "wrong: very")),
            "x:1:1:2: wrong: very\n  1 | ab\n    |  ^\n");
  for (const char* message : {"other:1:2: wrong", "D: wrong", "D:1: wrong", "D:1:2", "D:x:2: wrong", "D"}) {
    EXPECT_EQ(render("D", "ab\n", Error{ErrorCode::kInvalidInput, message}), std::string(message) + "\n");
  }
}

TEST(DidYouMean, NamesTheNearestCandidate) {
  EXPECT_EQ(did_you_mean("biuld", {"test", "build"}), "; did you mean 'build'?");
  EXPECT_EQ(did_you_mean("form", {"from"}, "--", ""), "; did you mean --from?");
  EXPECT_EQ(did_you_mean("quux", {"build"}), "");
}

}  // namespace
}  // namespace imagebuild::dockerfile
