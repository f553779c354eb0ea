#include "base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace imagebuild {
namespace {

struct Row {
  const char* name;
  const char* word;
  std::vector<std::string> candidates;
  const char* expected;  // Null: none is near.
};

class Nearest : public testing::TestWithParam<Row> {};

TEST_P(Nearest, FindsWhatWasMeant) {
  const std::optional<std::string> found = nearest(GetParam().word, GetParam().candidates);
  if (GetParam().expected == nullptr) {
    EXPECT_EQ(found, std::nullopt);
  } else {
    EXPECT_EQ(found, GetParam().expected);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Nearest,
                         testing::Values(Row{"MissingLetter", "buid", {"test", "build"}, "build"},
                                         Row{"AddedLetter", "buildd", {"build", "guild"}, "build"},
                                         Row{"WrongLetter", "FORM", {"FROM", "RUN"}, "FROM"},
                                         Row{"SwappedLetters", "bulid", {"build", "valid"}, "build"},
                                         Row{"OtherCase", "copy", {"COPY", "CMD"}, "COPY"},
                                         Row{"BeginningOfTheName", "build", {"builder", "runtime"}, "builder"},
                                         Row{"LongerThanTheName", "builder", {"build", "final"}, "build"},
                                         Row{"FirstOfEquallyNear", "ab", {"ax", "ay"}, "ax"},
                                         Row{"NothingNear", "webserver", {"build", "test"}, nullptr},
                                         Row{"ShortWordsAreNotNearEverything", "x", {"test"}, nullptr},
                                         Row{"TwoWrongOfThree", "abc", {"axy"}, nullptr},
                                         Row{"EmptyWord", "", {"build"}, nullptr},
                                         Row{"NoCandidates", "build", {}, nullptr},
                                         Row{"EmptyCandidate", "a", {""}, nullptr}),
                         [](const auto& param) { return param.param.name; });

TEST(NearestLimits, VeryLongWordsAreNotCompared) {
  const std::string word(10'000, 'a');
  EXPECT_EQ(nearest(word, std::vector<std::string>{word}), std::nullopt);
}

}  // namespace
}  // namespace imagebuild
