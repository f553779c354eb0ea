#include "api/plan.h"

#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

// A plan in which every member of every type has a value of its own.
Plan full_plan() {
  RunStep run;
  run.argv = {"/bin/sh", "-c", "make"};
  run.script = InlineFile{"EOF", "#!/bin/sh\necho hi\n"};
  run.env = {"PATH=/bin", "A=b"};
  run.user = "app:staff";
  run.working_dir = "/src";
  run.secrets = {SecretMount{"token", "/run/secrets/token", "TOKEN", true, 0440, 7, 8}};
  run.mounts = {BindMount{FromContext{}, "src", "/src", true},
                CacheMount{"c", "/cache", CacheSharing::kLocked, FromTree{0}, "a", true, 0700, 1, 2},
                TmpfsMount{"/tmp", 1024}, SshMount{"default", "/run/agent", true, 0666, 3, 4}};
  run.network = Network::kNone;
  CopyStep copy;
  copy.from = FromStage{0};
  copy.sources = {"src/*.c", ""};
  copy.inline_sources = {InlineFile{"motd", "hello\n"}};
  copy.destination = "/opt";
  copy.destination_is_folder = true;
  copy.owner = "1000:1000";
  copy.mode = "u=rwX,go-w";
  copy.remotes = {RemoteSource{1, true}};
  copy.exclude = {"*.o"};
  copy.parents = true;
  copy.link = true;
  copy.unpack_archives = true;

  Plan plan;
  plan.dockerfile = "docker/Dockerfile";
  plan.epoch_s = 1700000000;
  plan.images = {BaseImage{"gcc:12", "docker.io/library/gcc:12@sha256:aa", "sha256:aa", "{\"m\":1}", "{\"c\":2}"}};
  PlanStage build;
  build.name = "build";
  build.at = {1, 1};
  build.base = OnImage{0};
  build.platform = "linux/amd64";
  build.steps = {Step{{2, 1}, "RUN make", "RUN /bin/sh -c make", run}};
  build.exports = {"app"};
  build.needs_container = true;
  PlanStage final;
  final.name = "final";
  final.at = {4, 1};
  final.base = OnStage{0};
  final.platform = "linux/amd64";
  final.steps = {Step{{5, 1}, "COPY a b", "COPY a b", copy},
                 Step{{6, 1}, "WORKDIR /w", "WORKDIR /w", WorkdirStep{"/w", "app"}},
                 Step{{7, 1}, "ENV A=b", "ENV A=b", MetadataStep{}}};
  final.needs = {0};
  final.keep_layers = true;
  final.config.env = {"A=b"};
  final.config.cmd = {{"/app"}};
  final.config.labels = {{"k", "v"}};
  final.author = "someone";
  plan.stages = {build, final};
  plan.targets = {{1, "linux/amd64", "final"}};
  plan.trees = {{NamedContext{"assets"}, {5, 1}},
                {HttpDownload{"https://example.com/a.tgz", "sha256:00"}, {5, 1}},
                {GitCheckout{"https://example.com/a.git", "v1", "sub", "abc", true, false}, {5, 1}}};
  plan.run = {{{"db", "10.0.0.1"}}, {{"nofile", 1024, -1}}, 1U << 20};
  plan.warnings = {{"StageNameCasing", "careful", {1, 1}}};
  plan.skipped_rules = {{"SecretInImage", 3, 4}, {"all"}};
  return plan;
}

TEST(Plan, SurvivesJsonWhole) {
  const Plan plan = full_plan();
  const Result<Plan> read = Plan::parse(plan.json());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, plan);
  EXPECT_EQ(read->json(), plan.json());
}

struct BrokenPlan {
  const char* name;
  std::string find, replace;
  const char* message;
};

class BrokenPlans : public testing::TestWithParam<BrokenPlan> {};

TEST_P(BrokenPlans, AreCorrupt) {
  std::string text = full_plan().json();
  const std::size_t at = text.find(GetParam().find);
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, GetParam().find.size(), GetParam().replace);
  const Result<Plan> read = Plan::parse(text);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find(GetParam().message), std::string::npos) << read.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BrokenPlans,
    testing::Values(BrokenPlan{"NotJson", "{", "", "not JSON"},
                    BrokenPlan{"OtherVersion", "\"version\":2", "\"version\":1", "version 1"},
                    BrokenPlan{"MissingMember", "\"epoch\":1700000000,", "", "plan.epoch is missing"},
                    BrokenPlan{"WrongType", "\"epoch\":1700000000", "\"epoch\":\"x\"", "plan.epoch is not an integer"},
                    BrokenPlan{"NeedOfALaterStage", "\"needs\":[0]", "\"needs\":[1]", "wrong need"},
                    BrokenPlan{"NegativeNeed", "\"needs\":[0]", "\"needs\":[-1]", "wrong need"},
                    BrokenPlan{"TargetOutOfRange", "\"stage\":1}]", "\"stage\":2}]", "stage is out of range"},
                    BrokenPlan{"ImageOutOfRange", "\"image\":0", "\"image\":1", "out of range"},
                    BrokenPlan{"UnknownStep", "\"type\":\"workdir\"", "\"type\":\"teleport\"", "teleport"},
                    BrokenPlan{"EmptyCommand", "\"argv\":[\"/bin/sh\",\"-c\",\"make\"]", "\"argv\":[]", "no command"},
                    BrokenPlan{"NegativeMode", "\"mode\":438", "\"mode\":-1", "negative"},
                    BrokenPlan{"UnknownMount", "\"type\":\"tmpfs\"", "\"type\":\"ramfs\"", "ramfs"},
                    BrokenPlan{"UnknownSharing", "\"locked\"", "\"loose\"", "unknown sharing"},
                    BrokenPlan{"TreeOutOfRange", "{\"tree\":0,\"type\":\"tree\"}", "{\"tree\":9,\"type\":\"tree\"}",
                               "out of range"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(BaseChain, GoesFromTheBottomUp) {
  const Plan plan = full_plan();
  EXPECT_EQ(base_chain(plan, 1), (std::vector<int>{0, 1}));
  EXPECT_EQ(root_image(plan, 1), &plan.images[0]);
}

TEST(SecretIds, AreSortedAndEachOnce) {
  Plan plan = full_plan();
  RunStep& run = std::get<RunStep>(plan.stages[0].steps[0].action);
  run.secrets = {SecretMount{"z"}, SecretMount{"a"}, SecretMount{"z"}};
  EXPECT_EQ(secret_ids(plan, 0), (std::vector<std::string>{"a", "z"}));
  EXPECT_TRUE(secret_ids(plan, 1).empty());
}

}  // namespace
}  // namespace imagebuild::api
