#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/failure_text.h"
#include "cli/plan_text.h"
#include "cli/secrets.h"
#include "cli/summary.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

builder::PlatformImage sample_platform(const std::string& platform) {
  const oci::Digest config = oci::Digest::of("config");
  const oci::Digest manifest = oci::Digest::of("manifest");
  return builder::PlatformImage{
      .stage = 1,
      .wanted = *oci::Platform::parse(platform),
      .manifest = oci::Manifest{std::string(oci::media_type::kOciManifest),
                                oci::Descriptor{std::string(oci::media_type::kOciConfig), config, 6, {}, {}},
                                {},
                                {}},
      .manifest_json = "",
      .layers = {},
      .descriptor = oci::Descriptor{std::string(oci::media_type::kOciManifest), manifest, 8, {}, {}},
      .config_json = ""};
}

std::vector<builder::Published> sample_image() {
  builder::PlatformImage image = sample_platform("linux/amd64");
  const oci::Descriptor descriptor = image.descriptor;
  return {builder::Published{"", {std::move(image)}, "", descriptor, 900'000, 200'000}};
}

std::vector<builder::Published> sample_index() {
  return {
      builder::Published{"",
                         {sample_platform("linux/amd64"), sample_platform("linux/arm64")},
                         "index",
                         oci::Descriptor{std::string(oci::media_type::kOciIndex), oci::Digest::of("index"), 5, {}, {}},
                         900'000,
                         200'000}};
}

std::vector<api::StageReport> sample_reports() {
  api::StageReport build;
  build.stage = "build";
  build.export_bytes = 200'000;
  build.root_bytes = 464'000'000;
  api::StageReport image;
  image.stage = "1";
  image.root_bytes = 2'000'000;
  return {build, image};
}

TEST(SummaryTest, SaysHowMuchSmallerTheImageIsThanItsLargestBuildStage) {
  const builder::TargetTags tags = {{"", {*oci::Reference::parse("localhost:5000/app:1")}}};
  const std::vector<builder::Output> outputs = {{builder::Output::Kind::kRegistry, {}},
                                                {builder::Output::Kind::kOciArchive, "app.tar"}};
  EXPECT_EQ(summary(sample_plan(), sample_reports(), sample_image(), tags, outputs),
            "image 1.1 MB (base 900.0 kB + 200.0 kB new) · exported 200.0 kB · 2.0 MB of files, 232× smaller "
            "than stage 'build' (464.0 MB)\n"
            "pushed localhost:5000/app:1\n"
            "wrote OCI archive app.tar\n" +
                oci::Digest::of("manifest").str() + "\n");
}

TEST(SummaryTest, ComparesNothingWhenNoBuildStageIsLarger) {
  std::vector<api::StageReport> reports = sample_reports();
  reports[0].root_bytes = 1000;
  EXPECT_THAT(summary(sample_plan(), reports, sample_image(), {}, {}), Not(HasSubstr("smaller")));
}

TEST(SummaryTest, WritesBuildKitsMetadata) {
  const auto json = nlohmann::json::parse(metadata_json(
      sample_image(), {{"", {*oci::Reference::parse("a:1"), *oci::Reference::parse("localhost:5000/b")}}}));
  EXPECT_EQ(json["containerimage.digest"], oci::Digest::of("manifest").str());
  EXPECT_EQ(json["containerimage.config.digest"], oci::Digest::of("config").str());
  EXPECT_EQ(json["containerimage.descriptor"]["size"], 8);
  EXPECT_EQ(json["image.name"], "docker.io/library/a:1,localhost:5000/b:latest");
}

TEST(SummaryTest, NamesEachPlatformOfAnIndex) {
  const builder::TargetTags tags = {{"", {*oci::Reference::parse("localhost:5000/app:1")}}};
  const std::string text = summary(sample_plan(), sample_reports(), sample_index(), tags, {{}});
  const std::string manifest = oci::Digest::of("manifest").str();
  EXPECT_THAT(text, HasSubstr("\nlinux/amd64 " + manifest + "\nlinux/arm64 " + manifest +
                              "\npushed localhost:5000/app:1\n" + oci::Digest::of("index").str() + "\n"));
}

TEST(SummaryTest, TellsTheImagesOfSeveralTargetsApart) {
  std::vector<builder::Published> images = {sample_image()[0], sample_index()[0]};
  images[0].target = "a";
  images[1].target = "b";
  const builder::TargetTags tags = {{"a", {*oci::Reference::parse("r/a")}}, {"b", {*oci::Reference::parse("r/b")}}};
  const std::string text = summary(sample_plan(), sample_reports(), images, tags, {{}});
  EXPECT_THAT(text, HasSubstr("image of target 'a' 1.1 MB"));
  EXPECT_THAT(text, HasSubstr("pushed r/a:latest\n" + oci::Digest::of("manifest").str() + "\nimage of target 'b'"));
  const auto json = nlohmann::json::parse(metadata_json(images, tags));
  EXPECT_EQ(json["a"]["containerimage.digest"], oci::Digest::of("manifest").str());
  EXPECT_EQ(json["b"]["containerimage.digest"], oci::Digest::of("index").str());
  EXPECT_FALSE(json["b"].contains("containerimage.config.digest"));
  EXPECT_EQ(json["b"]["image.name"], "docker.io/r/b:latest");
}

TEST(SummaryTest, TheIdOfAnIndexIsItsDigest) {
  EXPECT_EQ(image_id(sample_image()[0]), oci::Digest::of("config").str());
  EXPECT_EQ(image_id(sample_index()[0]), oci::Digest::of("index").str());
}

api::Failure failed_make() {
  api::Failure failure;
  failure.stage = "build";
  failure.step = 1;
  failure.at = api::SourceLine{3, 1};
  failure.code = "Failed";
  failure.exit_code = 2;
  failure.message = "RUN make: exit status 2";
  failure.log_tail = {"gcc app.c", "\x1b[31mapp.c:1: error\x1b[0m"};
  return failure;
}

constexpr const char* kFailure = R"(------
 > [build 3/3] RUN make:
gcc app.c
app.c:1: error
------
Dockerfile:3
--------------------
   1 |     FROM gcc:12 AS build
   2 |     COPY . /src
   3 | >>> RUN make \
   4 | >>>       -j2
   5 |     ENV A=b
   6 |     FROM debian
--------------------
)";

TEST(FailureTextTest, ShowsOutputAndSourceLines) {
  const char* const dockerfile = "FROM gcc:12 AS build\nCOPY . /src\nRUN make \\\n      -j2\nENV A=b\nFROM debian\n";
  EXPECT_EQ(failure_text(sample_plan(), failed_make(), dockerfile), kFailure);
}

TEST(FailureTextTest, LeavesOutLinesThatAreNotThere) {
  api::Failure failure = failed_make();
  failure.at.line = 99;
  EXPECT_THAT(failure_text(sample_plan(), failure, "FROM a\n"), Not(HasSubstr("Dockerfile:99")));
}

TEST(FailureTextTest, ErrorHasPlaceStageAndWhatToDo) {
  api::Failure failure = failed_make();
  EXPECT_EQ(failure_error(sample_plan(), failure).message, "Dockerfile:3:1: stage 'build': RUN make: exit status 2");
  EXPECT_EQ(failure_error(sample_plan(), failure).exit_status(), kExitFailed);
  failure.exit_code = 127;
  EXPECT_THAT(failure_error(sample_plan(), failure).message, HasSubstr("not found"));
  failure.code = "Exhausted";
  EXPECT_EQ(failure_error(sample_plan(), failure).exit_status(), kExitInfrastructure);
}

TEST(PlanTextTest, SaysWhatTheCacheHasAndWhatChanged) {
  const api::Plan plan = sample_plan();
  const std::string whole = plan_text(plan, {StageOutlook{.is_whole = true}, std::nullopt});
  EXPECT_THAT(whole, HasSubstr("  cache   all of it\n"));
  EXPECT_EQ(whole.find("cache"), whole.rfind("cache")) << "nothing is said of a stage that cannot be judged yet";
  EXPECT_THAT(
      plan_text(plan, {StageOutlook{.steps = 1, .changed = "src/main.c changed"}, std::nullopt}),
      HasSubstr("  cache   up to line " + std::to_string(plan.stages[0].steps[0].at.line) + "; src/main.c changed\n"));
  EXPECT_THAT(plan_text(plan, {StageOutlook{}, std::nullopt}), HasSubstr("  cache   nothing of it\n"));
}

TEST(PlanTextTest, ShowsStagesStepsAndWhatMoves) {
  EXPECT_EQ(plan_text(sample_plan()),
            "Dockerfile: 2 stages, target stage-1\n"
            "\n"
            "stage build  (linux/amd64, runs in a container, wave 1)\n"
            "  from    docker.io/library/gcc:12@sha256:" +
                std::string(64, 'a') +
                "\n"
                "  exports /src/app\n"
                "  2: COPY . /src\n"
                "  3: RUN make\n"
                "  4: ENV A=b\n"
                "\n"
                "stage stage-1  (linux/amd64, computed without a container, wave 2)\n"
                "  from    docker.io/library/debian:12@sha256:" +
                std::string(64, 'b') +
                "\n"
                "  needs   build: /src/app\n"
                "  6: COPY --from=build /src/app /app\n"
                "  7: CMD [\"/app\"]\n");
}

constexpr const char* kGraph = R"dot(digraph plan {
  rankdir=LR;
  node [shape=box, fontname="sans-serif"];
  image0 [shape=cylinder, label="a\"b"];
  image1 [shape=cylinder, label="debian:12"];
  stage0 [label="build (3 steps)"];
  stage1 [label="stage-1 (2 steps)", style=dashed, peripheries=2];
  image0 -> stage0 [label="FROM"];
  image1 -> stage1 [label="FROM"];
  stage0 -> stage1 [label="/src/app"];
}
)dot";

TEST(PlanTextTest, DrawsTheGraph) {
  api::Plan plan = sample_plan();
  plan.images[0].name = "a\"b";
  EXPECT_EQ(plan_dot(plan), kGraph);
}

TEST(SecretsTest, ReadsVariablesAndNamesWhatIsMissing) {
  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "TOKEN" ? std::optional<std::string>("content") : std::nullopt;
  };
  const auto secrets = read_secrets({SecretSource{"a", "", "TOKEN"}}, environment);
  ASSERT_TRUE(secrets.ok());
  EXPECT_EQ(secrets->at("a"), "content");
  const auto unset = read_secrets({SecretSource{"a", "", "OTHER"}}, environment);
  ASSERT_FALSE(unset.ok());
  EXPECT_THAT(unset.error().message, HasSubstr("'OTHER'"));
  const auto missing = read_secrets({SecretSource{"a", "/no/such/file", ""}}, environment);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/file"));
}

TEST(SecretsTest, WantsRequiredSecretsBeforeAnythingRuns) {
  api::Plan plan = sample_plan();
  api::SecretMount mount;
  mount.id = "token";
  plan.stages[0].steps[1].action = api::RunStep{.secrets = {mount}};
  EXPECT_TRUE(check_required_secrets(plan, {}).ok());
  std::get<api::RunStep>(plan.stages[0].steps[1].action).secrets[0].required = true;
  const Status missing = check_required_secrets(plan, {});
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("Dockerfile:3:1: the RUN needs the secret 'token'"));
  EXPECT_THAT(check_required_secrets(plan, {{"tokne", ""}}).error().message, HasSubstr("did you mean 'tokne'?"));
  EXPECT_TRUE(check_required_secrets(plan, {{"token", ""}}).ok());
}

}  // namespace
}  // namespace imagebuild::cli
