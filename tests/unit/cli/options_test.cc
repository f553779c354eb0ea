#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace imagebuild::cli {
namespace {

using testing::HasSubstr;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Command parse(const std::vector<std::string>& arguments, std::map<std::string, std::string> variables = {}) {
  return parse_command(arguments, environment_of(std::move(variables)));
}

BuildOptions built(const std::vector<std::string>& arguments, std::map<std::string, std::string> variables = {}) {
  Command command = parse(arguments, std::move(variables));
  if (const auto* error = std::get_if<UsageError>(&command)) ADD_FAILURE() << error->message;
  return std::holds_alternative<BuildOptions>(command) ? std::get<BuildOptions>(command) : BuildOptions{};
}

TEST(OptionsTest, ReadsEveryOptionOfBuild) {
  const BuildOptions options = built({"build",
                                      "-f",
                                      "deploy/Dockerfile",
                                      "-t",
                                      "localhost:5000/a:1",
                                      "--tag",
                                      "b",
                                      "--target",
                                      "test",
                                      "--build-arg",
                                      "V=1=2",
                                      "--build-arg",
                                      "FROM_ENV",
                                      "--build-arg",
                                      "NOT_SET",
                                      "--secret",
                                      "id=s,src=s.txt",
                                      "--output",
                                      "type=registry",
                                      "-o",
                                      "type=oci,dest=out",
                                      "--no-cache",
                                      "--progress",
                                      "json",
                                      "--iidfile",
                                      "iid",
                                      "--metadata-file",
                                      "meta",
                                      "--store",
                                      "/srv/store",
                                      "--compression",
                                      "zstd",
                                      "--parallel",
                                      "3",
                                      "--platform",
                                      "linux/arm64",
                                      "--registry-mirror",
                                      "docker.io=http://m:1",
                                      "--insecure-registry",
                                      "lab",
                                      "--registries",
                                      "r.yaml",
                                      "ctx"},
                                     {{"FROM_ENV", "there"}});
  EXPECT_EQ(options.source.dockerfile, "deploy/Dockerfile");
  EXPECT_EQ(options.source.context, "ctx");
  EXPECT_EQ(options.source.target, "test");
  EXPECT_EQ(options.source.platform.str(), "linux/arm64");
  const std::vector<std::pair<std::string, std::string>> arguments = {{"V", "1=2"}, {"FROM_ENV", "there"}};
  EXPECT_EQ(options.source.build_args, arguments);
  EXPECT_EQ(options.source.registry.mirrors, std::vector<std::string>{"docker.io=http://m:1"});
  EXPECT_EQ(options.source.registry.insecure, std::vector<std::string>{"lab"});
  EXPECT_EQ(options.source.registry.file, "r.yaml");
  ASSERT_EQ(options.tags.size(), 2U);
  EXPECT_EQ(options.tags[1].str(), "docker.io/library/b:latest");
  ASSERT_EQ(options.outputs.size(), 2U);
  EXPECT_EQ(options.outputs[0].kind, builder::Output::Kind::kRegistry);
  EXPECT_EQ(options.outputs[1].destination, "out");
  ASSERT_EQ(options.secrets.size(), 1U);
  EXPECT_EQ(options.secrets[0], (SecretSource{"s", "s.txt", ""}));
  EXPECT_TRUE(options.no_cache);
  EXPECT_EQ(options.progress, ProgressMode::kJson);
  EXPECT_EQ(options.iid_file, "iid");
  EXPECT_EQ(options.metadata_file, "meta");
  EXPECT_EQ(options.store, "/srv/store");
  EXPECT_EQ(options.compression, archive::Compression::kZstd);
  EXPECT_EQ(options.parallel, 3U);
}

TEST(OptionsTest, PushesToTheTagsWhenNoOutputIsNamed) {
  const BuildOptions options = built({"build", "-t", "a", "."});
  ASSERT_EQ(options.outputs.size(), 1U);
  EXPECT_EQ(options.outputs[0].kind, builder::Output::Kind::kRegistry);
  EXPECT_TRUE(built({"build", "."}).outputs.empty());
  EXPECT_EQ(built({"build", "-t", "a", "-o", "type=oci,dest=d", "."}).outputs.size(), 1U);
}

TEST(OptionsTest, TakesTheContextFromStandardInputAndOptionsAfterIt) {
  EXPECT_EQ(built({"build", "-"}).source.context, "-");
  const BuildOptions options = built({"build", ".", "-f", "-", "--progress=plain"});
  EXPECT_EQ(options.source.dockerfile, "-");
  EXPECT_EQ(options.progress, ProgressMode::kPlain);
}

TEST(OptionsTest, ReadsSourceDateEpoch) {
  EXPECT_EQ(built({"build", "."}, {{"SOURCE_DATE_EPOCH", "1700000000"}}).source.epoch_s, 1700000000);
  EXPECT_EQ(built({"build", "."}).source.epoch_s, std::nullopt);
}

TEST(OptionsTest, FindsTheStore) {
  using Variables = std::map<std::string, std::string>;
  EXPECT_EQ(default_store(environment_of({{"IMAGEBUILD_STORE", "/s"}, {"HOME", "/h"}})), "/s");
  EXPECT_EQ(default_store(environment_of({{"XDG_CACHE_HOME", "/c"}, {"HOME", "/h"}})), "/c/imagebuild");
  EXPECT_EQ(default_store(environment_of({{"XDG_CACHE_HOME", ""}, {"HOME", "/h"}})), "/h/.cache/imagebuild");
  EXPECT_EQ(default_store(environment_of(Variables{})), "/var/cache/imagebuild");
}

struct WrongCase {
  const char* name;
  std::vector<std::string> arguments;
  const char* message;
  const char* command = "imagebuild build";
};

class WrongOptionsTest : public testing::TestWithParam<WrongCase> {};

TEST_P(WrongOptionsTest, SaysWhatIsWrongAndWhoseHelpHelps) {
  const Command command = parse(GetParam().arguments);
  const auto* error = std::get_if<UsageError>(&command);
  ASSERT_NE(error, nullptr);
  EXPECT_THAT(error->message, HasSubstr(GetParam().message));
  EXPECT_EQ(error->command, GetParam().command);
  EXPECT_EQ(error->message.find('\n'), std::string::npos) << error->message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, WrongOptionsTest,
    testing::ValuesIn(std::vector<WrongCase>{
        {"NoCommand", {}, "no command is given", "imagebuild"},
        {"MistypedCommand", {"biuld", "."}, "unknown command 'biuld'; did you mean 'build'?", "imagebuild"},
        {"ForeignCommand", {"push"}, "unknown command 'push'; it can be build, plan or version", "imagebuild"},
        {"OptionBeforeCommand", {"--tag", "a", "build"}, "unknown option '--tag'", "imagebuild"},
        {"NoContext", {"build"}, "no build context is given"},
        {"TwoContexts", {"build", "a", "b"}, "one build context is expected, but there are two: 'a' and 'b'"},
        {"EmptyContext", {"build", ""}, "no build context is given"},
        {"MistypedOption", {"build", "--tagg=a", "."}, "unknown option '--tagg'; did you mean '--tag'?"},
        {"MissingValue", {"build", ".", "--target"}, "--target"},
        {"UpperCaseTag", {"build", "-t", "UPPER CASE", "."}, "--tag: "},
        {"DigestAsTag",
         {"build", "-t", "a@sha256:0000000000000000000000000000000000000000000000000000000000000000", "."},
         "names a digest"},
        {"RegistryWithoutTag", {"build", "-o", "type=registry", "."}, "add -t REF"},
        {"SameDestinationTwice",
         {"build", "-o", "type=oci,dest=d", "-o", "type=oci-archive,dest=d", "."},
         "same dest=d"},
        {"UnknownProgress", {"build", "--progress", "plian", "."}, "unknown value 'plian'; did you mean 'plain'?"},
        {"UnknownCompression", {"build", "--compression", "brotli", "."}, "it can be gzip or zstd"},
        {"SecretTwice", {"build", "--secret", "id=a,src=b", "--secret", "id=a,env=c", "."}, "id 'a' is given twice"},
        {"BuildArgWithoutName", {"build", "--build-arg", "=x", "."}, "has no name"},
        {"SeveralPlatforms", {"build", "--platform", "linux/amd64,linux/arm64", "."}, "one platform at a time"},
        {"WrongPlatform", {"build", "--platform", "a/b/c/d", "."}, "--platform: "},
        {"BuildContext", {"build", "--build-context", "x=y", "."}, "--build-context is not supported yet"},
        {"TooParallel", {"build", "--parallel", "100000", "."}, "at most 256"},
        {"ParallelIsNoNumber", {"build", "--parallel", "two", "."}, "--parallel"},
        {"PlanFormat", {"plan", "--format", "yaml", "."}, "it can be text, json or dot", "imagebuild plan"},
        {"PlanHasNoTag", {"plan", "-t", "a", "."}, "unknown option '-t'", "imagebuild plan"},
        {"VersionTakesNothing", {"version", "x"}, "takes no arguments", "imagebuild version"},
    }),
    [](const auto& row) { return std::string(row.param.name); });

TEST(OptionsTest, RefusesAnEpochThatIsNoNumber) {
  const Command command = parse({"build", "."}, {{"SOURCE_DATE_EPOCH", "yesterday"}});
  ASSERT_TRUE(std::holds_alternative<UsageError>(command));
  EXPECT_THAT(std::get<UsageError>(command).message, HasSubstr("'yesterday'"));
}

TEST(OptionsTest, HelpNamesEveryOptionExamplesAndExitCodes) {
  const Command command = parse({"build", "--help"});
  ASSERT_TRUE(std::holds_alternative<HelpText>(command));
  const std::string& text = std::get<HelpText>(command).text;
  for (const char* word : {"--file",
                           "--tag",
                           "--target",
                           "--build-arg",
                           "--secret",
                           "--output",
                           "--no-cache",
                           "--progress",
                           "--iidfile",
                           "--metadata-file",
                           "--store",
                           "--registry-mirror",
                           "--insecure-registry",
                           "--registries",
                           "--platform",
                           "--compression",
                           "--parallel",
                           "CONTEXT",
                           "Examples:",
                           "Exit codes:",
                           "docker-archive"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
  for (const char* first : {"--help", "-h", "help"}) {
    EXPECT_TRUE(std::holds_alternative<HelpText>(parse({first}))) << first;
  }
  EXPECT_TRUE(std::holds_alternative<HelpText>(parse({"plan", "-h"})));
  EXPECT_TRUE(std::holds_alternative<VersionOptions>(parse({"version"})));
}

}  // namespace
}  // namespace imagebuild::cli
