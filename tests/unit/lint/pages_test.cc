// The pages of docs/rules against the rules: each rule has one, and each example is what its page says.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"
#include "lint/lint.h"
#include "lint/rules.h"

namespace imagebuild::lint {
namespace {

namespace fs = std::filesystem;

fs::path pages() {
  return fs::path(IMAGEBUILD_TEST_DATA).parent_path().parent_path().parent_path().parent_path() / "docs" / "rules";
}

std::string text_of(const fs::path& file) {
  const auto text = read_file(file, 1U << 20);
  EXPECT_TRUE(text.ok()) << file;
  return text.ok() ? *text : "";
}

// The first code block of that language behind `heading`.
std::optional<std::string> block(const std::string& page, const std::string& heading, const std::string& language) {
  const std::string fence = "```" + language + "\n";
  const std::size_t from = page.find(heading);
  if (from == std::string::npos) return std::nullopt;
  const std::size_t begin = page.find(fence, from);
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t end = page.find("```", begin + fence.size());
  return page.substr(begin + fence.size(), end - begin - fence.size());
}

std::vector<std::string> rules_found(const std::string& page, const std::string& text, const std::string& rule) {
  const auto file = dockerfile::parse(text);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return {};
  const auto ignore = dockerfile::IgnoreRules::parse(block(page, "", "dockerignore").value_or(""));
  EXPECT_TRUE(ignore.ok());
  LintInput input{*file};
  input.ignore = &*ignore;
  const auto amd64 = oci::Platform::parse("linux/amd64");
  const auto arm64 = oci::Platform::parse("linux/arm64");
  if (rule == "InvalidBaseImagePlatform") {
    input.target_platform = *arm64;
    input.base = [&](const std::string& image, const oci::Platform& wanted) -> std::optional<BaseFacts> {
      return BaseFacts{{}, {}, image.starts_with("amd64/") ? *amd64 : wanted};
    };
  }
  std::vector<std::string> found;
  for (const api::Warning& warning : check(input)) {
    // BuildKit's rules have short examples, in which a stage or a version may be missing.
    if (find_rule(rule)->of_buildkit && !find_rule(warning.rule)->of_buildkit) continue;
    found.push_back(warning.rule);
  }
  const auto twice = std::ranges::unique(found);
  found.erase(twice.begin(), twice.end());
  return found;
}

// What shows only in the built image is not check()'s: image_test.cc has it.
std::vector<Rule> checked_rules() {
  std::vector<Rule> result;
  std::ranges::copy_if(rules(), std::back_inserter(result),
                       [](const Rule& rule) { return rule.shows != Shows::kInImage; });
  return result;
}

class Page : public testing::TestWithParam<Rule> {};

TEST_P(Page, HasAWrongExampleThatRaisesExactlyItsRuleAndARightOneThatRaisesNone) {
  const std::string rule(GetParam().name);
  const std::string page = text_of(pages() / (rule + ".md"));
  const auto wrong = block(page, "Wrong:", "dockerfile");
  const auto right = block(page, "Right:", "dockerfile");
  ASSERT_TRUE(wrong && right);
  EXPECT_EQ(rules_found(page, *wrong, rule), std::vector<std::string>{rule});
  EXPECT_EQ(rules_found(page, *right, rule), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Rules, Page, testing::ValuesIn(checked_rules()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Pages, AreThoseOfTheRules) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(pages())) {
    if (entry.path().extension() == ".md" && entry.path().stem() != "README") files.push_back(entry.path().stem());
  }
  std::ranges::sort(files);
  std::vector<std::string> names;
  for (const Rule& rule : rules()) names.emplace_back(rule.name);
  EXPECT_EQ(files, names);
}

TEST(Pages, SayHowToSwitchTheRule) {
  for (const Rule& rule : rules()) {
    const std::string page = text_of(pages() / (std::string(rule.name) + ".md"));
    EXPECT_TRUE(page.starts_with("# " + std::string(rule.name) + "\n")) << rule.name;
    const std::string option = rule.on_by_default ? "skip=" : "experimental=";
    EXPECT_NE(page.find("# check=" + option + std::string(rule.name)), std::string::npos) << rule.name;
  }
}

TEST(Pages, AreListedWithTheSummaryOfTheirRule) {
  const std::string index = text_of(pages() / "README.md");
  for (const Rule& rule : rules()) {
    const std::string name(rule.name);
    EXPECT_NE(index.find("| [" + name + "](" + name + ".md) | " + std::string(rule.summary) + " |"), std::string::npos)
        << name;
  }
}

TEST(Rules, AreFoundByNameAndKnowTheirPages) {
  ASSERT_NE(find_rule("JSONArgsRecommended"), nullptr);
  EXPECT_EQ(find_rule("JSONArgsRecommended")->page(), "docs/rules/JSONArgsRecommended.md");
  EXPECT_EQ(find_rule("JSONArgsRecommended")->uri(),
            "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
  EXPECT_EQ(find_rule("SecretsUsedInArgOrEnv")->uri(),
            "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/");
  EXPECT_EQ(find_rule("jsonargsrecommended"), nullptr);
  EXPECT_EQ(find_rule(""), nullptr);
}

}  // namespace
}  // namespace imagebuild::lint
