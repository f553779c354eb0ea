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
  EXPECT_EQ(options.source.targets, std::vector<std::string>{"test"});
  EXPECT_EQ(options.source.platforms, std::vector{*oci::Platform::parse("linux/arm64")});
  const std::vector<std::pair<std::string, std::string>> arguments = {{"V", "1=2"}, {"FROM_ENV", "there"}};
  EXPECT_EQ(options.source.build_args, arguments);
  EXPECT_EQ(options.source.registry.mirrors, std::vector<std::string>{"docker.io=http://m:1"});
  EXPECT_EQ(options.source.registry.insecure, std::vector<std::string>{"lab"});
  EXPECT_EQ(options.source.registry.file, "r.yaml");
  ASSERT_EQ(options.tags.size(), 1U);
  ASSERT_EQ(options.tags.at("test").size(), 2U);
  EXPECT_EQ(options.tags.at("test")[1].str(), "docker.io/library/b:latest");
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

TEST(OptionsTest, CollectsPlatformsOfListsEachOnce) {
  const BuildOptions options = built({"build", "--platform", "linux/arm64,amd64", "--platform", "arm,arm64", "."});
  std::vector<std::string> names;
  for (const oci::Platform& platform : options.source.platforms) names.push_back(platform.str());
  EXPECT_EQ(names, (std::vector<std::string>{"linux/arm64", "linux/amd64", "linux/arm/v7"}));
  EXPECT_TRUE(built({"build", "."}).source.platforms.empty());
}

TEST(OptionsTest, NamesTheImageOfEachTarget) {
  const BuildOptions options = built(
      {"build", "--target", "a=r/a:1", "--target", "b", "--target", "a=r/a:2", "-t", "r/b:1", "-t", "r/b:2", "."});
  EXPECT_EQ(options.source.targets, (std::vector<std::string>{"a", "b"}));
  const auto names = [&](const char* target) {
    std::vector<std::string> result;
    for (const oci::Reference& tag : options.tags.at(target)) result.push_back(tag.familiar());
    return result;
  };
  EXPECT_EQ(names("a"), (std::vector<std::string>{"r/a:1", "r/a:2"}));
  EXPECT_EQ(names("b"), (std::vector<std::string>{"r/b:1", "r/b:2"}));
  ASSERT_EQ(options.outputs.size(), 1U);
  EXPECT_TRUE(built({"build", "--target", "a", "--target", "b", "."}).tags.empty());
  EXPECT_EQ(built({"build", "-t", "x", "."}).tags.at("").size(), 1U);
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
        {"ForeignCommand",
         {"push"},
         "unknown command 'push'; it can be build, plan, lint, cache or version",
         "imagebuild"},
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
        {"EmptyPlatform", {"build", "--platform", "linux/amd64,,linux/arm64", "."}, "is empty"},
        {"DockerArchiveOfPlatforms",
         {"build", "--platform", "amd64,arm64", "-o", "type=docker-archive,dest=a.tar", "."},
         "holds one image for one platform"},
        {"DockerArchiveOfTargets",
         {"build", "--target", "a=x", "--target", "b=y", "-o", "type=docker-archive,dest=a.tar", "."},
         "holds one image for one platform"},
        {"TargetWithoutStage", {"build", "--target", "=x", "."}, "names no stage"},
        {"TargetWithoutImage", {"build", "--target", "a=", "."}, "no image is named after '='"},
        {"TargetWithDigest",
         {"build", "--target", "a=x@sha256:0000000000000000000000000000000000000000000000000000000000000000", "."},
         "names a digest"},
        {"OneTagForTwoTargets",
         {"build", "-t", "x", "--target", "a", "--target", "b", "."},
         "--target a and --target b have no name; write --target b=IMAGE"},
        {"TagForNoTarget", {"build", "-t", "x", "--target", "a=y", "."}, "every --target has one"},
        {"TargetWithoutName", {"build", "--target", "a=x", "--target", "b", "."}, "--target b has no image name"},
        {"TargetsWithoutNames",
         {"build", "--target", "a", "--target", "b", "-o", "type=oci,dest=d", "."},
         "--target a has no image name"},
        {"TwoTargetsOfOneName", {"build", "--target", "a=x", "--target", "b=x:latest", "."}, "two targets have"},
        {"IdFileOfTargets", {"build", "--target", "a", "--target", "b", "--iidfile", "f", "."}, "--metadata-file"},
        {"PlanNamesNoImage", {"plan", "--target", "a=x", "."}, "names an image", "imagebuild plan"},
        {"WrongPlatform", {"build", "--platform", "a/b/c/d", "."}, "--platform: "},
        {"BuildContextWithoutValue", {"build", "--build-context", "x", "."}, "--build-context: 'x' has no value"},
        {"BuildContextOfOtherScheme",
         {"plan", "--build-context", "x=s3://a", "."},
         "docker-image://",
         "imagebuild plan"},
        {"HostWithoutAddress", {"build", "--add-host", "db", "."}, "--add-host: 'db' has no address"},
        {"UnknownLimit", {"build", "--ulimit", "files=1", "."}, "--ulimit: there is no limit 'files'"},
        {"WrongSize", {"build", "--shm-size", "lots", "."}, "--shm-size: 'lots' is no size"},
        {"TooParallel", {"build", "--parallel", "100000", "."}, "at most 256"},
        {"ParallelIsNoNumber", {"build", "--parallel", "two", "."}, "--parallel"},
        {"PlanFormat", {"plan", "--format", "yaml", "."}, "it can be text, json or dot", "imagebuild plan"},
        {"PlanHasNoTag", {"plan", "-t", "a", "."}, "unknown option '-t'", "imagebuild plan"},
        {"VersionTakesNothing", {"version", "x"}, "takes no arguments", "imagebuild version"},
    }),
    [](const auto& row) { return std::string(row.param.name); });

TEST(OptionsTest, ReadsNamedContextsAndRunSettings) {
  const BuildOptions options =
      built({"build", "--build-context", "deps=old", "--build-context", "base=docker-image://b:1", "--build-context",
             "deps=new", "--add-host", "db:10.0.0.7", "--ulimit", "nofile=1:2", "--shm-size", "1m", "."});
  const std::vector<builder::NamedContext> contexts = {{"base", builder::ContextImage{"b:1"}},
                                                       {"deps", builder::ContextFolder{"new"}}};
  EXPECT_TRUE(options.source.build_contexts == contexts);
  const api::RunSettings run{{{"db", "10.0.0.7"}}, {{"nofile", 1, 2}}, 1U << 20};
  EXPECT_TRUE(options.source.run == run);
}

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
