#include "lint/lint.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/parser.h"
#include "lint/findings.h"
#include "lint/rules.h"

namespace imagebuild::lint {
namespace {

std::vector<std::string> found(std::string_view text) {
  const auto file = dockerfile::parse(text);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return {};
  std::vector<std::string> result;
  for (const api::Warning& warning : check(LintInput{*file})) {
    if (!find_rule(warning.rule)->of_buildkit) continue;
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
  EXPECT_EQ(found("FROM scratch AS a\n# check=skip=all because\nFROM scratch AS B\n"), Found{});
}

TEST(Lint, TakesTheChecksOfABuildArgumentInsteadOfTheFiles) {
  const auto file = dockerfile::parse("# check=skip=all\nFROM scratch AS Build\n");
  ASSERT_TRUE(file.ok());
  LintInput input{*file};
  EXPECT_FALSE(findings_are_errors(input));
  input.build_args = {{"BUILDKIT_DOCKERFILE_CHECK", "error=true"}};
  EXPECT_TRUE(findings_are_errors(input));
  ASSERT_EQ(check(input).size(), 1U);
  EXPECT_EQ(check(input).front().rule, "StageNameCasing");
  input.build_args = {{"BUILDKIT_DOCKERFILE_CHECK", "no=thing"}};
  ASSERT_EQ(check(input).size(), 2U);
  EXPECT_EQ(check(input).front().rule, "");
  EXPECT_EQ(check(input).front().at.line, 0);
}

TEST(Lint, SaysWhatTheErrorDirectiveSays) {
  const auto file = dockerfile::parse("# check=skip=A;error=true\nFROM scratch\n");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(findings_are_errors(LintInput{*file}));
}

TEST(Lint, SuggestsTheNameThatWasMeant) {
  const auto file = dockerfile::parse("ARG VERSION=1\nFROM alpine:${VERSOIN}\n");
  ASSERT_TRUE(file.ok());
  const auto warnings = check(LintInput{*file});
  ASSERT_FALSE(warnings.empty());
  EXPECT_TRUE(warnings.back().message.ends_with("; did you mean '$VERSION'?")) << warnings.back().message;
}

TEST(Lint, ChecksAFileThatCannotBeSolvedAsFarAsPossible) {
  EXPECT_EQ(found("FROM alpine:${X?no} AS Build\nCOPY --from=nowhere a ${b\nCMD a\n"),
            (Found{"1:24 StageNameCasing", "3:1 JSONArgsRecommended"}));
}

TEST(Lint, StopsAtABoundInAHostileFile) {
  std::string text = "FROM scratch\n";
  for (int i = 0; i < 3000; ++i) text += "LABEL a=$b" + std::to_string(i) + "\n";
  EXPECT_EQ(found(text).size(), kMaxFindings);
}

}  // namespace
}  // namespace imagebuild::lint
