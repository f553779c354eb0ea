#include "lint/lint.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/parser.h"

namespace imagebuild::lint {
namespace {

std::vector<std::string> found(std::string_view text) {
  const auto file = dockerfile::parse(text);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return {};
  std::vector<std::string> result;
  for (const api::Warning& warning : check(LintInput{*file})) {
    result.push_back(std::to_string(warning.at.line) + ":" + std::to_string(warning.at.column) + " " + warning.rule);
  }
  return result;
}

using Found = std::vector<std::string>;

TEST(Lint, SaysWhereAndWhichRule) {
  EXPECT_EQ(found("FROM scratch AS Build\nFROM scratch AS b2\nFROM scratch AS Test\n"),
            (Found{"1:17 StageNameCasing", "3:17 StageNameCasing"}));
}

TEST(Lint, SkipsTheRulesThatTheDirectiveNames) {
  EXPECT_EQ(found("# check=skip=StageNameCasing\nFROM scratch AS Build\n"), Found{});
  EXPECT_EQ(found("# check=skip=all\nFROM scratch AS Build\n"), Found{});
  EXPECT_EQ(found("# check=skip=DuplicateStageName\nFROM scratch AS Build\n"), Found{"2:17 StageNameCasing"});
}

TEST(Lint, SkipsRulesForOneInstruction) {
  EXPECT_EQ(found("FROM scratch AS A\n# check=skip=StageNameCasing\n# more\nFROM scratch AS B\n\nFROM scratch AS C\n"),
            (Found{"1:17 StageNameCasing", "6:17 StageNameCasing"}));
  EXPECT_EQ(found("FROM scratch AS a\n# check=skip=StageNameCasing\n\nFROM scratch AS B\n"),
            Found{"4:17 StageNameCasing"});
}

}  // namespace
}  // namespace imagebuild::lint
