#include "cli/cache_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace imagebuild::cli {
namespace {

using Action = CacheOptions::Action;
using Words = std::vector<std::string>;
using testing::HasSubstr;

Command parsed(Words words) {
  words.insert(words.begin(), "cache");
  return parse_command(words, [](const std::string& name) -> std::optional<std::string> {
    return name == "IMAGEBUILD_STORE" ? std::optional<std::string>("/of/the/environment") : std::nullopt;
  });
}

CacheOptions options(const Words& words) {
  Command command = parsed(words);
  const auto* error = std::get_if<UsageError>(&command);
  EXPECT_EQ(error, nullptr) << error->message;
  return std::get<CacheOptions>(std::move(command));
}

TEST(CacheOptionsTest, ReadsTheThreeCommands) {
  EXPECT_EQ(options({"ls"}).action, Action::kList);
  EXPECT_EQ(options({"du", "--format", "json"}).action, Action::kUsage);
  EXPECT_TRUE(options({"du", "--format", "json"}).json);
  EXPECT_EQ(options({"ls"}).store, "/of/the/environment");
  EXPECT_EQ(options({"ls", "--store", "a"}).store, "a");
}

TEST(CacheOptionsTest, ReadsWhatIsToGo) {
  const CacheOptions limits = options({"prune", "--max-size", "10GB", "--older-than", "168h"});
  EXPECT_EQ(limits.action, Action::kPrune);
  EXPECT_EQ(limits.max_bytes, 10ULL << 30);
  EXPECT_EQ(limits.older_than, std::chrono::seconds(168 * 3600));
  EXPECT_FALSE(limits.all);
  EXPECT_TRUE(options({"prune", "--all"}).all);
}

TEST(CacheOptionsTest, ReadsAnotherCacheThanTheStore) {
  const CacheOptions folder = options({"ls", "--cache", "type=local,src=/ci/cache"});
  ASSERT_TRUE(folder.cache);
  EXPECT_EQ(folder.cache->folder, "/ci/cache");
  const CacheOptions repository = options({"prune", "--all", "--cache=localhost:5000/cache", "--registries", "file"});
  ASSERT_TRUE(repository.cache);
  EXPECT_EQ(repository.cache->repository->repository(), "cache");
  EXPECT_EQ(repository.registry.file, "file");
  EXPECT_FALSE(options({"ls"}).cache);
}

TEST(CacheOptionsTest, ReadsAges) {
  EXPECT_EQ(parse_age("30m")->count(), 1800);
  EXPECT_EQ(parse_age("1w2d3h4m5s")->count(), 604'800 + 2 * 86'400 + 3 * 3600 + 4 * 60 + 5);
  for (const char* wrong : {"", "7", "d", "7x", "-1d", "1.5h", "7d ", "99999999999999w"}) {
    EXPECT_FALSE(parse_age(wrong).ok()) << wrong;
  }
}

struct WrongLine {
  const char* name;
  Words words;
  const char* message;
};

class WrongCacheLineTest : public testing::TestWithParam<WrongLine> {};

TEST_P(WrongCacheLineTest, SaysWhatIsWrong) {
  const Command command = parsed(GetParam().words);
  const auto* error = std::get_if<UsageError>(&command);
  ASSERT_NE(error, nullptr);
  EXPECT_THAT(error->message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Rows, WrongCacheLineTest,
                         testing::ValuesIn(std::vector<WrongLine>{
                             {"NoCommand", {}, "needs a command: ls, du or prune"},
                             {"Unknown", {"prun"}, "did you mean 'prune'?"},
                             {"UnknownOption", {"ls", "--stor=a"}, "did you mean '--store'?"},
                             {"TwoPlaces", {"ls", "--store=a", "--cache=b/c"}, "say one"},
                             {"WrongCache", {"ls", "--cache=type=s3"}, "--cache: "},
                             {"RegistriesOfTheStore", {"ls", "--insecure-registry=a"}, "are for --cache"},
                             {"AnArgument", {"ls", "a"}, "takes no arguments"},
                             {"NoLimit", {"prune"}, "say what is to be removed"},
                             {"AllAndALimit", {"prune", "--all", "--max-size", "1g"}, "leave out --max-size"},
                             {"WrongSize", {"prune", "--max-size", "much"}, "--max-size: 'much' is no size"},
                             {"WrongAge", {"prune", "--older-than", "7"}, "--older-than: '7' is no length of time"},
                             {"WrongFormat", {"du", "--format", "yaml"}, "--format: unknown value 'yaml'"},
                             {"LimitForList", {"ls", "--all"}, "unknown option '--all'"},
                         }),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CacheOptionsTest, HelpsEachCommand) {
  EXPECT_THAT(std::get<HelpText>(parsed({"--help"})).text, HasSubstr("prune"));
  EXPECT_THAT(std::get<HelpText>(parsed({"prune", "--help"})).text, HasSubstr("--older-than"));
}

TEST(CacheOptionsTest, BuildTakesCachesEachOnce) {
  const Command command =
      parse_command(Words{"build", "--cache-from", "type=registry,ref=a.b/c", "--cache-from", "a.b/c", "--cache-to",
                          "type=local,dest=d", "--cache-to", "type=registry,ref=a.b/c", "."},
                    [](const std::string&) { return std::nullopt; });
  const auto& build = std::get<BuildOptions>(command);
  EXPECT_EQ(build.cache_from.size(), 1U);
  ASSERT_EQ(build.cache_to.size(), 2U);
  EXPECT_EQ(build.cache_to[0].folder, "d");
}

}  // namespace
}  // namespace imagebuild::cli
