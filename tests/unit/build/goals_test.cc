#include "build/goals.h"

#include <gtest/gtest.h>

#include "oci/digest.h"

namespace imagebuild::build {
namespace {

using Names = std::vector<std::string>;

const oci::Platform kAmd64 = *oci::Platform::parse("linux/amd64");
const oci::Platform kArm64 = *oci::Platform::parse("linux/arm64");

SolveOptions built_on_amd64() {
  SolveOptions options;
  options.build_platform = kAmd64;
  return options;
}

// Solves with an image for every name and platform that is asked for.
Result<api::Plan> solve_text(const std::string& text, const std::vector<Goal>& goals) {
  ASSIGN_OR_RETURN(const dockerfile::Dockerfile file, dockerfile::parse(text));
  Images known;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<ImageNeed> missing, missing_images(file, built_on_amd64(), goals, known));
    if (missing.empty()) return solve(file, built_on_amd64(), goals, known);
    for (const ImageNeed& need : missing) {
      oci::ImageConfig config;
      config.platform = *oci::Platform::parse(need.platform);
      config.config.env = {"PATH=/bin"};
      const std::string digest = oci::Digest::of(need.name + need.platform).str();
      known.emplace(need, api::BaseImage{need.name, need.name + "@" + digest, digest, "{}", config.json()});
    }
  }
}

api::Plan solved(const std::string& text, const std::vector<Goal>& goals) {
  Result<api::Plan> plan = solve_text(text, goals);
  if (!plan.ok()) {
    ADD_FAILURE() << plan.error().message;
    std::abort();
  }
  // What is solved survives the volume.
  const Result<api::Plan> read = api::Plan::parse(plan->json());
  EXPECT_TRUE(read.ok()) << read.error().message;
  return std::move(*plan);
}

Names names(const api::Plan& plan) {
  Names result;
  for (const api::PlanStage& stage : plan.stages) result.push_back(stage.name);
  return result;
}

struct Row {
  const char* name;
  const char* text;
  std::vector<Goal> goals;
  Names stages;
  std::size_t images = 0;
};

class Merged : public testing::TestWithParam<Row> {};

TEST_P(Merged, HasEachStageOnceForEachResult) {
  const api::Plan plan = solved(GetParam().text, GetParam().goals);
  EXPECT_EQ(names(plan), GetParam().stages);
  EXPECT_EQ(plan.images.size(), GetParam().images);
  ASSERT_EQ(plan.targets.size(), GetParam().goals.size());
  for (std::size_t i = 0; i < plan.targets.size(); ++i) {
    EXPECT_EQ(plan.targets[i].platform, GetParam().goals[i].platform.str());
    EXPECT_EQ(plan.targets[i].name, GetParam().goals[i].target);
    EXPECT_TRUE(plan.stages[static_cast<std::size_t>(plan.targets[i].stage)].keep_layers);
  }
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    for (const int need : plan.stages[i].needs) EXPECT_LT(need, static_cast<int>(i));
  }
}

const std::vector<Goal> kTwoPlatforms = {{"", kAmd64}, {"", kArm64}};

INSTANTIATE_TEST_SUITE_P(
    Table, Merged,
    testing::Values(
        Row{"OnePlatform", "FROM a AS b\nRUN x\nFROM c\nCOPY --from=b /x /x\n", {{"", kArm64}}, {"b", "1"}, 2},
        Row{"EveryStagePerPlatform",
            "FROM a AS b\nRUN x\nFROM c\nCOPY --from=b /x /x\n",
            kTwoPlatforms,
            {"b (linux/amd64)", "1 (linux/amd64)", "b (linux/arm64)", "1 (linux/arm64)"},
            4},
        Row{"StageOfTheBuildPlatformOnce",
            "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM c\nCOPY --from=b /x /x\n",
            kTwoPlatforms,
            {"b", "1 (linux/amd64)", "1 (linux/arm64)"},
            3},
        Row{"StageThatAsksForTheTargetTwice",
            "FROM --platform=$BUILDPLATFORM a AS b\nARG TARGETARCH\nRUN x\nFROM scratch\nCOPY --from=b /x /x\n",
            kTwoPlatforms,
            {"b (linux/amd64)", "1 (linux/amd64)", "b (linux/arm64)", "1 (linux/arm64)"},
            1},
        Row{"SharedStageBelowOneThatAsks",
            "FROM --platform=$BUILDPLATFORM a AS deps\nRUN x\nFROM deps AS b\nARG TARGETARCH\nRUN y\n"
            "FROM c\nCOPY --from=b /y /y\n",
            kTwoPlatforms,
            {"deps", "b (linux/amd64)", "2 (linux/amd64)", "b (linux/arm64)", "2 (linux/arm64)"},
            3},
        Row{"ImagesToCopyFrom",
            "FROM scratch\nCOPY --from=nginx:1 /etc/nginx /n\n",
            kTwoPlatforms,
            {"image nginx:1 (linux/amd64)", "0 (linux/amd64)", "image nginx:1 (linux/arm64)", "0 (linux/arm64)"},
            2},
        Row{"TargetsShareWhatTheyNeed",
            "FROM a AS b\nRUN x\nFROM c AS one\nCOPY --from=b /1 /\nFROM d AS two\nCOPY --from=b /2 /\n",
            {{"one", kAmd64}, {"two", kAmd64}},
            {"b", "one", "two"},
            3},
        Row{"TargetsShareImagesToCopyFrom",
            "FROM scratch AS one\nCOPY --from=nginx:1 /1 /\nFROM scratch AS two\nCOPY --from=nginx:1 /2 /\n",
            {{"one", kAmd64}, {"two", kAmd64}},
            {"image nginx:1", "one", "two"},
            1},
        Row{"ATargetThatIsBuiltOnAnother",
            "FROM a AS one\nRUN x\nFROM one AS two\nRUN y\n",
            {{"two", kAmd64}, {"one", kAmd64}},
            {"one", "two"},
            1},
        Row{"StagesThatAskForTheTargetStage",
            "FROM a AS b\nARG TARGETSTAGE\nRUN x\nFROM b AS one\nRUN 1\nFROM b AS two\nRUN 2\n",
            {{"one", kAmd64}, {"two", kAmd64}},
            {"b (target one)", "one", "b (target two)", "two"},
            1}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Goals, UniteWhatSharedStagesExport) {
  const api::Plan plan = solved(
      "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM scratch\nARG TARGETARCH\nCOPY --from=b /bin/$TARGETARCH "
      "/app\n",
      kTwoPlatforms);
  ASSERT_EQ(plan.stages.size(), 3U);
  EXPECT_EQ(plan.stages[0].exports, (Names{"bin/amd64", "bin/arm64"}));
  EXPECT_EQ(plan.stages[1].needs, (std::vector<int>{0}));
  EXPECT_EQ(plan.stages[2].needs, (std::vector<int>{0}));
  EXPECT_EQ(plan.stages[1].platform, "linux/amd64");
  EXPECT_EQ(plan.stages[2].platform, "linux/arm64");
}

TEST(Goals, GiveEachPlatformItsArguments) {
  const api::Plan plan =
      solved("FROM a\nARG TARGETPLATFORM\nARG TARGETARCH\nARG TARGETVARIANT\nARG BUILDPLATFORM\nRUN x\n",
             {{"", kAmd64}, {"", *oci::Platform::parse("linux/arm/v7")}});
  const auto env_of = [&](std::size_t stage) {
    return std::get<api::RunStep>(plan.stages[stage].steps.back().action).env;
  };
  EXPECT_EQ(env_of(0), (Names{"PATH=/bin", "TARGETPLATFORM=linux/amd64", "TARGETARCH=amd64",
                              "TARGETVARIANT=", "BUILDPLATFORM=linux/amd64"}));
  EXPECT_EQ(env_of(1), (Names{"PATH=/bin", "TARGETPLATFORM=linux/arm/v7", "TARGETARCH=arm", "TARGETVARIANT=v7",
                              "BUILDPLATFORM=linux/amd64"}));
}

TEST(Goals, FollowThePlatformOfTheStageBelow) {
  const api::Plan plan = solved("FROM --platform=linux/s390x a AS b\nRUN x\nFROM b\nRUN y\n", kTwoPlatforms);
  ASSERT_EQ(plan.stages.size(), 2U);
  EXPECT_EQ(plan.stages[1].platform, "linux/s390x");
  EXPECT_EQ(plan.targets[0].stage, plan.targets[1].stage);
  ASSERT_EQ(plan.warnings.size(), 2U);
  EXPECT_EQ(plan.warnings[1].message,
            "the image for linux/arm64 is one for linux/s390x, since its FROM says --platform");
}

TEST(Goals, AreEveryTargetForEveryPlatformOnce) {
  const std::vector<Goal> goals = goals_of({"a", "b", "a"}, {kArm64, kAmd64, kArm64});
  ASSERT_EQ(goals.size(), 4U);
  EXPECT_EQ(goals[0].target + goals[0].platform.str(), "alinux/arm64");
  EXPECT_EQ(goals[1].target + goals[1].platform.str(), "alinux/amd64");
  EXPECT_EQ(goals[3].target + goals[3].platform.str(), "blinux/amd64");
  EXPECT_EQ(goals_of({}, {}).size(), 1U);
}

TEST(Goals, WarnOnceOfWhatEveryPlatformShows) {
  const Result<dockerfile::Dockerfile> file = dockerfile::parse("FROM scratch\n");
  ASSERT_TRUE(file.ok());
  SolveOptions options = built_on_amd64();
  options.build_args = {{"UNUSED", "1"}};
  const Result<api::Plan> plan = solve(*file, options, kTwoPlatforms, {});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->warnings.size(), 1U);
}

TEST(WrittenName, IsTheDockerfiles) {
  api::PlanStage stage;
  for (const auto& [name, written] : std::vector<std::pair<std::string, std::string>>{
           {"build", "build"}, {"build (linux/arm64)", "build"}, {"1", "1"}}) {
    stage.name = name;
    EXPECT_EQ(api::written_name(stage), written);
  }
}

}  // namespace
}  // namespace imagebuild::build
