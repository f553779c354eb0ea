#include "cli/terminal_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imagebuild::cli {
namespace {

using testing::ElementsAre;

struct PrintableCase {
  const char* name;
  std::string line;
  std::string plain;
  std::string coloured;
};

class PrintableTest : public testing::TestWithParam<PrintableCase> {};

TEST_P(PrintableTest, KeepsTextAndNothingThatMovesTheCursor) {
  EXPECT_EQ(printable(GetParam().line), GetParam().plain);
  EXPECT_EQ(printable(GetParam().line, true), GetParam().coloured);
}

INSTANTIATE_TEST_SUITE_P(Rows, PrintableTest,
                         testing::ValuesIn(std::vector<PrintableCase>{
                             {"Text", "plain – ünï", "plain – ünï", "plain – ünï"},
                             {"Colour", "\x1b[1;31mred\x1b[0m", "red", "\x1b[1;31mred\x1b[0m\x1b[0m"},
                             {"CursorMove", "a\x1b[2Ab\x1b[Hc\x1b[?25l", "abc", "abc"},
                             {"Title", "a\x1b]0;evil\ab\x1b]0;x\x1b\\c", "abc", "abc"},
                             {"OpenTitle", "a\x1b]0;never ends", "a", "a"},
                             {"DeviceControl", "a\x1bPq#0\x1b\\b", "ab", "ab"},
                             {"Charset",
                              "a\x1b(0b\x1b"
                              "cd",
                              "abd", "abd"},
                             {"CutOff", "a\x1b[31", "a", "a"},
                             {"LoneEscape", "a\x1b", "a", "a"},
                             {"Tabs", "a\tb", "a       b", "a       b"},
                             {"Controls", "a\b\x07\x7f\x01z", "az", "az"},
                             {"C1Controls",
                              "a\xc2\x9b"
                              "2Jz",
                              "a2Jz", "a2Jz"},
                             {"NotUtf8", "a\xffz", "a\xef\xbf\xbdz", "a\xef\xbf\xbdz"},
                             {"Bidirectional",
                              "a\xe2\x80\xae"
                              "b",
                              "ab", "ab"},
                             {"WronglyColoured", "\x1b[31;?mx", "x", "x"},
                         }),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(TerminalTextTest, CountsColumnsAndCuts) {
  EXPECT_EQ(columns("héllo"), 5U);
  EXPECT_EQ(columns("日本"), 4U);
  EXPECT_EQ(columns("e\xcc\x81"), 1U);
  EXPECT_EQ(fitted("hello", 5), "hello");
  EXPECT_EQ(fitted("hello!", 5), "hell…");
  EXPECT_EQ(fitted("日本語", 4), "日…");
  EXPECT_EQ(fitted("abc", 0), "");
}

TEST(LineAssemblerTest, GivesWholeLinesHoweverTheyArrive) {
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  LineAssembler assembler;
  for (const char* piece : {"on", "e\ntw", "o\r", "\n", "10%\r20%\r", "30%", "\nlast"}) assembler.add(piece, take);
  EXPECT_THAT(lines, ElementsAre("one", "two", "30%"));
  EXPECT_EQ(assembler.partial(), "last");
  assembler.end(take);
  EXPECT_THAT(lines, ElementsAre("one", "two", "30%", "last"));
}

TEST(LineAssemblerTest, BoundsALineThatNeverEnds) {
  std::size_t given = 0;
  LineAssembler assembler;
  const std::string piece(1000, 'x');
  for (int i = 0; i < 1000; ++i) assembler.add(piece, [&](std::string_view line) { given += line.size(); });
  EXPECT_LE(assembler.partial().size(), LineAssembler::kMaxLineBytes);
  EXPECT_EQ(given + assembler.partial().size(), 1000U * 1000U);
}

}  // namespace
}  // namespace imagebuild::cli
