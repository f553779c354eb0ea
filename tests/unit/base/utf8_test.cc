#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace imagebuild {
namespace {

struct Row {
  const char* name;
  std::string text;
  char32_t value;
  std::size_t width;
  bool valid;
};

class DecodeRune : public testing::TestWithParam<Row> {};

TEST_P(DecodeRune, TakesTheFirstCharacter) {
  const Rune rune = decode_rune(GetParam().text, 0);
  EXPECT_EQ(rune.value, GetParam().value);
  EXPECT_EQ(rune.width, GetParam().width);
  EXPECT_EQ(rune.valid, GetParam().valid);
}

INSTANTIATE_TEST_SUITE_P(All, DecodeRune,
                         testing::Values(Row{"Ascii", "az", U'a', 1, true}, Row{"TwoBytes", "\xC3\xA9x", 0xE9, 2, true},
                                         Row{"ThreeBytes", "\xE2\x98\xBA", 0x263A, 3, true},
                                         Row{"FourBytes", "\xF0\x9F\x9A\x80", 0x1F680, 4, true},
                                         Row{"Last", "\xF4\x8F\xBF\xBF", 0x10FFFF, 4, true}, Row{"End", "", 0, 0, true},
                                         Row{"LoneContinuation", "\x80", kReplacementRune, 1, false},
                                         Row{"CutShort", "\xE2\x98", kReplacementRune, 1, false},
                                         Row{"WrongContinuation", "\xC3z", kReplacementRune, 1, false},
                                         Row{"OverlongTwo", "\xC0\xAF", kReplacementRune, 1, false},
                                         Row{"OverlongThree", "\xE0\x80\xAF", kReplacementRune, 1, false},
                                         Row{"OverlongFour", "\xF0\x80\x80\xAF", kReplacementRune, 1, false},
                                         Row{"Surrogate", "\xED\xA0\x80", kReplacementRune, 1, false},
                                         Row{"TooLarge", "\xF4\x90\x80\x80", kReplacementRune, 1, false},
                                         Row{"NeverUsed", "\xFF", kReplacementRune, 1, false}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace imagebuild
