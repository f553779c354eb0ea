// imagebuild lint: its options, its three formats and its exit status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/lint_command.h"
#include "cli/lint_report.h"
#include "cli/options.h"

namespace imagebuild::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

Command parse(std::vector<std::string> arguments) {
  return parse_command(arguments, [](const std::string& name) -> std::optional<std::string> {
    return name == "FROM_ENVIRONMENT" ? std::optional<std::string>("here") : std::nullopt;
  });
}

TEST(LintOptions, AreThoseOfTheCommandLine) {
  const Command command =
      parse({"lint", "-f", "d", "--target", "t", "--build-arg", "A=1", "--build-arg", "FROM_ENVIRONMENT", "--build-arg",
             "UNSET", "--platform", "linux/amd64,linux/arm64", "--build-context", "n=docker-image://x", "--format",
             "sarif", "--warn-only", "context"});
  const auto* options = std::get_if<LintOptions>(&command);
  ASSERT_NE(options, nullptr);
  EXPECT_EQ(options->context, "context");
  EXPECT_EQ(options->dockerfile, "d");
  EXPECT_EQ(options->target, "t");
  EXPECT_EQ(options->build_args, (std::map<std::string, std::string>{{"A", "1"}, {"FROM_ENVIRONMENT", "here"}}));
  ASSERT_EQ(options->platforms.size(), 2U);
  EXPECT_EQ(options->platforms[1].str(), "linux/arm64");
  EXPECT_THAT(options->named_contexts, ElementsAre("n"));
  EXPECT_EQ(options->format, LintFormat::kSarif);
  EXPECT_TRUE(options->warn_only);
}

TEST(LintOptions, HaveDefaults) {
  const Command command = parse({"lint"});
  const auto* options = std::get_if<LintOptions>(&command);
  ASSERT_NE(options, nullptr);
  EXPECT_EQ(options->context, ".");
  EXPECT_EQ(options->format, LintFormat::kText);
  EXPECT_EQ(options->platforms.size(), 1U);
  EXPECT_FALSE(options->warn_only);
}

TEST(LintOptions, SayWhatIsWrong) {
  struct Row {
    std::vector<std::string> arguments;
    std::string message;
  };
  for (const Row& row : std::vector<Row>{
           {{"lint", "--format", "sarf"}, "--format: unknown value 'sarf'; did you mean 'sarif'?"},
           {{"lint", "--fromat", "x"}, "unknown option '--fromat'; did you mean '--format'?"},
           {{"lint", "a", "b"}, "one build context is expected, but there are two: 'a' and 'b'"},
           {{"lint", "--build-arg", "=1"}, "--build-arg: '=1' has no name"},
           {{"lint", "--build-context", "x"}, "--build-context: 'x' is not NAME=VALUE"},
           {{"lnit"}, "unknown command 'lnit'; did you mean 'lint'?"},
       }) {
    const Command command = parse(row.arguments);
    const auto* error = std::get_if<UsageError>(&command);
    ASSERT_NE(error, nullptr) << row.message;
    EXPECT_EQ(error->message, row.message);
  }
}

TEST(LintOptions, HaveHelp) {
  const Command command = parse({"lint", "--help"});
  const auto* help = std::get_if<HelpText>(&command);
  ASSERT_NE(help, nullptr);
  EXPECT_THAT(help->text, HasSubstr("Usage: imagebuild lint [OPTIONS] [CONTEXT]"));
  EXPECT_THAT(help->text, HasSubstr("--warn-only"));
}

LintReport sample() {
  return {"app/my Dockerfile",
          "FROM scratch AS Build\nLABEL é=ü a=$b\n",
          {{{"StageNameCasing", "no capitals", {1, 17}}, false},
           {{"", "a remark", {}}, false},
           {{kDockerfileError, "all is lost", {2, 13}}, true}}};
}

TEST(LintText, ShowsSourceLinesAndWhereToReadOn) {
  EXPECT_EQ(lint_text(sample()),
            "app/my Dockerfile:1:17: StageNameCasing: no capitals\n"
            "  1 | FROM scratch AS Build\n"
            "    |                 ^\n"
            "  see docs/rules/StageNameCasing.md\n"
            "\n"
            "app/my Dockerfile: a remark\n"
            "\n"
            "app/my Dockerfile:2:13: DockerfileError: all is lost\n"
            "  2 | LABEL é=ü a=$b\n"
            "    |           ^\n"
            "  see docs/reference/dockerfile.md\n");
  EXPECT_EQ(lint_text({"Dockerfile", "", {}}), "");
}

TEST(LintJson, HasWhatTheReferenceSays) {
  const json report = json::parse(lint_json(sample()));
  EXPECT_EQ(report["version"], 1);
  EXPECT_EQ(report["dockerfile"], "app/my Dockerfile");
  ASSERT_EQ(report["findings"].size(), 3U);
  EXPECT_EQ(report["findings"][0], (json{{"rule", "StageNameCasing"},
                                         {"level", "warning"},
                                         {"message", "no capitals"},
                                         {"line", 1},
                                         {"column", 17},
                                         {"page", "docs/rules/StageNameCasing.md"}}));
  EXPECT_EQ(report["findings"][1], (json{{"rule", ""}, {"level", "warning"}, {"message", "a remark"}}));
  EXPECT_EQ(report["findings"][2]["level"], "error");
  EXPECT_EQ(json::parse(lint_json({"Dockerfile", "", {}}))["findings"], json::array());
}

TEST(LintSarif, HasTheRulesAndPlacesOfTheFindings) {
  const json report = json::parse(lint_sarif(sample()));
  EXPECT_EQ(report["version"], "2.1.0");
  const json& run = report["runs"][0];
  EXPECT_EQ(run["tool"]["driver"]["name"], "imagebuild");
  const json& rules = run["tool"]["driver"]["rules"];
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0]["id"], kDockerfileError);
  EXPECT_FALSE(rules[0].contains("helpUri"));
  EXPECT_EQ(rules[1]["id"], "StageNameCasing");
  EXPECT_EQ(rules[1]["helpUri"], "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
  EXPECT_EQ(rules[1]["shortDescription"]["text"], "Stage names are written in lower case");
  const json& results = run["results"];
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0]["ruleId"], "StageNameCasing");
  EXPECT_EQ(results[0]["level"], "warning");
  const json& first = results[0]["locations"][0]["physicalLocation"];
  EXPECT_EQ(first["artifactLocation"]["uri"], "app/my%20Dockerfile");
  EXPECT_EQ(first["region"], (json{{"startLine", 1}, {"startColumn", 17}}));
  EXPECT_FALSE(results[1].contains("ruleId"));
  EXPECT_FALSE(results[1]["locations"][0]["physicalLocation"].contains("region"));
  EXPECT_EQ(results[2]["level"], "error");
  // Bytes in ours, characters in SARIF.
  EXPECT_EQ(results[2]["locations"][0]["physicalLocation"]["region"]["startColumn"], 11);
}

class LintCommand : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file_atomically(folder_->path() / name, text).ok());
  }
  int run(LintOptions options) {
    if (options.platforms.empty()) options.platforms.push_back(oci::Platform::host());
    if (options.context == ".") options.context = folder_->path();
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = lint_command(options);
    output_ = testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    return status;
  }
  std::string path(const std::string& name) const { return (folder_->path() / name).string(); }

  Result<TempDir> folder_ = TempDir::create("lint-test-");
  std::string output_, errors_;
};

TEST_F(LintCommand, IsContentWithAGoodDockerfile) {
  write("Dockerfile", "FROM scratch\nCOPY a /a\n");
  EXPECT_EQ(run({}), kExitOk);
  EXPECT_EQ(output_, "");
}

TEST_F(LintCommand, FailsOnFindingsUnlessTheyAreWarningsOnly) {
  write("Dockerfile", "FROM scratch AS Build\n");
  EXPECT_EQ(run({}), kExitFailed);
  EXPECT_THAT(output_, HasSubstr("Dockerfile:1:17: StageNameCasing: "));
  EXPECT_EQ(run({.warn_only = true}), kExitOk);
  EXPECT_THAT(output_, HasSubstr("StageNameCasing"));
  write("Dockerfile", "# check=error=true\nFROM scratch AS Build\n");
  EXPECT_EQ(run({.warn_only = true}), kExitFailed);
  EXPECT_EQ(run({.format = LintFormat::kJson}), kExitFailed);
  EXPECT_EQ(json::parse(output_)["findings"][0]["level"], "error");
}

TEST_F(LintCommand, ReportsBadSyntaxInTheSameFormats) {
  write("Dockerfile", "FROM scratch\nCOYP a b\nRUNN x\n");
  EXPECT_EQ(run({.format = LintFormat::kJson, .warn_only = true}), kExitFailed);
  const json findings = json::parse(output_)["findings"];
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0]["rule"], "DockerfileError");
  EXPECT_EQ(findings[0]["line"], 2);
  EXPECT_EQ(findings[1]["line"], 3);
}

TEST_F(LintCommand, ReportsWhatABuildWouldRefuse) {
  write("Dockerfile", "# check=skip=all\nFROM scratch AS build\nFROM scratch\nCOPY --from=buidl a /a\n");
  EXPECT_EQ(run({.format = LintFormat::kJson}), kExitFailed);
  const json findings = json::parse(output_)["findings"];
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0]["rule"], "DockerfileError");
  EXPECT_EQ(findings[0]["line"], 4);
  EXPECT_THAT(findings[0]["message"].get<std::string>(), HasSubstr("did you mean 'build'?"));
}

TEST_F(LintCommand, FindsTheDockerfileAndItsIgnoreFileAsABuildDoes) {
  write("Dockerfile", "FROM scratch\nCOPY a.log /a\n");
  write(".dockerignore", "*.log\n");
  EXPECT_EQ(run({}), kExitFailed);
  EXPECT_THAT(output_, HasSubstr("2:6: CopyIgnoredFile: "));
  EXPECT_EQ(run({.context = path("Dockerfile")}), kExitFailed);
  EXPECT_THAT(output_, HasSubstr("2:6: CopyIgnoredFile: "));
  write("Dockerfile.dockerignore", "");
  EXPECT_EQ(run({}), kExitOk);
  write("other", "FROM scratch AS X\n");
  EXPECT_EQ(run({.dockerfile = "other"}), kExitFailed);
  EXPECT_THAT(output_, HasSubstr("other:1:17: "));
}

TEST_F(LintCommand, SaysWhatItCannotRead) {
  EXPECT_EQ(run({}), kExitFailed);
  EXPECT_EQ(output_, "");
  EXPECT_THAT(errors_, HasSubstr("there is no 'Dockerfile' in the context"));
  EXPECT_EQ(run({.context = path("nowhere")}), kExitFailed);
  EXPECT_THAT(errors_, HasSubstr("does not exist"));
}

}  // namespace
}  // namespace imagebuild::cli
