#include "build/solve.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "oci/digest.h"

namespace imagebuild::build {
namespace {

using api::CopyStep;
using api::Plan;
using api::PlanStage;
using api::RunStep;

api::BaseImage image(const std::string& name, const oci::RunConfig& config = {}) {
  oci::ImageConfig document;
  document.config = config;
  return api::BaseImage{name, "docker.io/library/" + name, oci::Digest::of(name).str(), "{}", document.json()};
}

// Solves with every image it asks for: those of `images`, and plain ones for other names.
Result<Plan> solve_text(const std::string& text, const SolveOptions& options = {},
                        const std::vector<api::BaseImage>& images = {}) {
  ASSIGN_OR_RETURN(const dockerfile::Dockerfile file, dockerfile::parse(text));
  Images known;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<ImageNeed> missing, missing_images(file, options, known));
    if (missing.empty()) break;
    for (const ImageNeed& need : missing) {
      api::BaseImage found = image(need.name, {.env = {"PATH=/bin"}});
      for (const api::BaseImage& given : images) {
        if (given.name == need.name) found = given;
      }
      known.emplace(need, std::move(found));
    }
  }
  return solve(file, options, known);
}

Plan solved(const std::string& text, const SolveOptions& options = {}, const std::vector<api::BaseImage>& images = {}) {
  Result<Plan> plan = solve_text(text, options, images);
  if (!plan.ok()) {
    ADD_FAILURE() << plan.error().message;
    std::abort();
  }
  return std::move(*plan);
}

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> result;
  for (const PlanStage& stage : plan.stages) result.push_back(stage.name);
  return result;
}

using Names = std::vector<std::string>;

const RunStep& run_at(const PlanStage& stage, std::size_t step) {
  return std::get<RunStep>(stage.steps.at(step).action);
}
const CopyStep& copy_at(const PlanStage& stage, std::size_t step) {
  return std::get<CopyStep>(stage.steps.at(step).action);
}

TEST(Solve, MakesTheClassicTwoStagesIntoABuildStageThatExportsAndAFinalOneThatNeedsNoContainer) {
  const Plan plan = solved(
      "FROM golang:1.21 AS builder\nWORKDIR /app\nCOPY . .\nRUN go build -o myapp\n"
      "FROM alpine:3.18\nWORKDIR /app\nCOPY --from=builder /app/myapp .\nCMD [\"./myapp\"]\n");
  ASSERT_EQ(names(plan), (Names{"builder", "1"}));
  const PlanStage& build = plan.stages[0];
  EXPECT_EQ(build.exports, (Names{"app/myapp"}));
  EXPECT_TRUE(build.needs_container);
  EXPECT_FALSE(build.keep_layers);
  EXPECT_EQ(run_at(build, 2).working_dir, "/app");
  EXPECT_EQ(run_at(build, 2).argv, (Names{"/bin/sh", "-c", "go build -o myapp"}));
  const PlanStage& final = plan.stages[1];
  EXPECT_FALSE(final.needs_container);
  EXPECT_TRUE(final.keep_layers);
  EXPECT_EQ(final.needs, (std::vector<int>{0}));
  EXPECT_EQ(copy_at(final, 1).destination, "/app");
  EXPECT_TRUE(copy_at(final, 1).destination_is_folder);
  EXPECT_EQ(final.config.cmd, (Names{"./myapp"}));
  EXPECT_EQ(plan.targets, (std::vector<api::PlanTarget>{{1, oci::Platform::host().str(), ""}}));
}

TEST(Solve, LeavesOutStagesThatNobodyNeeds) {
  const Plan plan = solved("FROM a AS used\nFROM b AS unused\nRUN exit 1\nFROM scratch\nCOPY --from=used /x /x\n");
  EXPECT_EQ(names(plan), (Names{"used", "2"}));
  EXPECT_EQ(plan.images.size(), 1U);
}

TEST(Solve, StopsAtTheTarget) {
  const Plan plan = solved("FROM a AS one\nRUN x\nFROM one AS two\nRUN y\n", {.target = "ONE"});
  EXPECT_EQ(names(plan), (Names{"one"}));
  EXPECT_TRUE(plan.stages[0].keep_layers);
}

TEST(Solve, KeepsTheLayersOfStagesThatOthersAreBuiltOn) {
  const Plan plan = solved("FROM a AS one\nRUN x\nFROM one AS two\nRUN y\nFROM two\nCOPY --from=two /y /z\n");
  for (const PlanStage& stage : plan.stages) EXPECT_TRUE(stage.keep_layers) << stage.name;
  EXPECT_EQ(api::base_chain(plan, 2), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(plan.stages[2].needs, (std::vector<int>{1}));
}

TEST(Solve, MakesAStageOfAnImageThatIsCopiedFromAndOnlyOne) {
  const Plan plan =
      solved("FROM scratch\nCOPY --from=nginx:latest /etc/nginx/nginx.conf /a\nCOPY --from=nginx:latest /b /b\n");
  ASSERT_EQ(names(plan), (Names{"image nginx:latest", "0"}));
  EXPECT_TRUE(plan.stages[0].needs_container);
  EXPECT_EQ(plan.stages[0].exports, (Names{"b", "etc/nginx/nginx.conf"}));
  EXPECT_EQ(plan.stages[1].needs, (std::vector<int>{0}));
}

TEST(Solve, AStageOfFilesOnScratchNeedsNoContainerToExport) {
  const Plan plan = solved("FROM scratch AS files\nCOPY . /\nFROM a\nCOPY --from=files /x /x\n");
  EXPECT_FALSE(plan.stages[0].needs_container);
}

TEST(Solve, ExpandsWithGlobalsOnlyInFromAndWithStageArgsAfterThat) {
  const Plan plan = solved(
      "ARG TAG=12\nARG NAME=gcc\nFROM $NAME:${TAG} AS b\nARG TAG\nARG OTHER=x\nRUN a\nCOPY $TAG/$OTHER$NAME /d\n"
      "ENV TAG=env\nRUN b\n",
      {.build_args = {{"OTHER", "o"}}});
  EXPECT_EQ(plan.images.at(0).name, "gcc:12");
  EXPECT_EQ(copy_at(plan.stages[0], 3).sources, (Names{"12/o"}));
  EXPECT_EQ(run_at(plan.stages[0], 2).env, (Names{"PATH=/bin", "TAG=12", "OTHER=o"}));
  EXPECT_EQ(plan.stages[0].steps[2].created_by, "RUN |2 TAG=12 OTHER=o /bin/sh -c a");
  EXPECT_EQ(plan.stages[0].config.env, (Names{"PATH=/bin", "TAG=env"}));
}

TEST(Solve, GivesProxiesToRunButNeitherToTheHistoryNorToTheImage) {
  const Plan plan = solved("FROM a\nRUN x\n", {.build_args = {{"http_proxy", "http://p"}}});
  const RunStep& run = run_at(plan.stages[0], 0);
  EXPECT_NE(std::ranges::find(run.env, "http_proxy=http://p"), run.env.end());
  EXPECT_EQ(plan.stages[0].steps[0].created_by, "RUN /bin/sh -c x");
  EXPECT_EQ(plan.stages[0].config.env, (Names{"PATH=/bin"}));
}

TEST(Solve, InheritsTheConfigOfTheBaseAndResetsCmdWithEntrypoint) {
  oci::RunConfig config;
  config.env = {"PATH=/bin", "A=1"};
  config.user = "app";
  config.working_dir = "/srv";
  config.cmd = {{"base-cmd"}};
  config.shell = {"/bin/bash", "-c"};
  config.labels = {{"l", "1"}};
  const Plan plan = solved("FROM b\nRUN x\nENTRYPOINT run me\n", {}, {image("b", config)});
  const PlanStage& stage = plan.stages[0];
  EXPECT_EQ(run_at(stage, 0).argv, (Names{"/bin/bash", "-c", "x"}));
  EXPECT_EQ(run_at(stage, 0).user, "app");
  EXPECT_EQ(run_at(stage, 0).working_dir, "/srv");
  EXPECT_EQ(stage.config.entrypoint, (Names{"/bin/bash", "-c", "run me"}));
  EXPECT_FALSE(stage.config.cmd.has_value());
  EXPECT_EQ(stage.config.labels, (std::map<std::string, std::string>{{"l", "1"}}));
  const Plan kept = solved("FROM b\nCMD [\"mine\"]\nENTRYPOINT [\"e\"]\n", {}, {image("b", config)});
  EXPECT_EQ(kept.stages[0].config.cmd, (Names{"mine"}));
}

TEST(Solve, WorkdirIsRelativeToTheOneBeforeAndBelongsToTheUser) {
  const Plan plan = solved("FROM a\nUSER app\nWORKDIR /a\nWORKDIR b/../c\nWORKDIR ..\n");
  EXPECT_EQ(std::get<api::WorkdirStep>(plan.stages[0].steps[1].action), (api::WorkdirStep{"/a", "app"}));
  EXPECT_EQ(std::get<api::WorkdirStep>(plan.stages[0].steps[2].action).path, "/a/c");
  EXPECT_EQ(plan.stages[0].config.working_dir, "/a");
}

TEST(Solve, RunsTriggersOfTheBaseImageFirst) {
  oci::RunConfig config;
  config.on_build = {"COPY --from=tools /bin/t /t", "RUN install"};
  const Plan plan = solved("FROM tooling AS tools\nRUN make\nFROM b AS app\nRUN after\n", {}, {image("b", config)});
  ASSERT_EQ(names(plan), (Names{"tools", "app"}));
  const PlanStage& app = plan.stages[1];
  ASSERT_EQ(app.steps.size(), 3U);
  EXPECT_TRUE(app.steps[0].text.starts_with("ONBUILD COPY"));
  EXPECT_EQ(app.steps[0].at, (api::SourceLine{3, 1}));
  EXPECT_EQ(copy_at(app, 0).from, api::CopyFrom(api::FromStage{0}));
  EXPECT_EQ(run_at(app, 1).argv.back(), "install");
  EXPECT_TRUE(app.config.on_build.empty());
  EXPECT_EQ(plan.stages[0].exports, (Names{"bin/t"}));
}

TEST(Solve, KeepsOnbuildForTheNextImage) {
  const Plan plan = solved("FROM a\nONBUILD RUN later\n");
  EXPECT_EQ(plan.stages[0].config.on_build, (Names{"RUN later"}));
  EXPECT_FALSE(plan.stages[0].needs_container);
}

TEST(Solve, FillsInWhatASecretMountLeavesOut) {
  const Plan plan = solved(
      "FROM a\nRUN --mount=type=secret,id=token x\nRUN --mount=type=secret,id=t,env=TOKEN,required=true y\n"
      "RUN --mount=type=secret,target=/etc/k,mode=0440,uid=1,gid=2 z\n");
  const PlanStage& stage = plan.stages[0];
  EXPECT_EQ(run_at(stage, 0).secrets.at(0), (api::SecretMount{"token", "/run/secrets/token", "", false, 0400, 0, 0}));
  EXPECT_EQ(run_at(stage, 1).secrets.at(0), (api::SecretMount{"t", "", "TOKEN", true, 0400, 0, 0}));
  EXPECT_EQ(run_at(stage, 2).secrets.at(0), (api::SecretMount{"k", "/etc/k", "", false, 0440, 1, 2}));
}

TEST(Solve, ReadsHeredocs) {
  const Plan plan = solved(
      "FROM a\nENV V=1\nRUN <<EOF\necho $V\nEOF\nRUN <<EOF\n#!/usr/bin/python3\nprint(1)\nEOF\n"
      "COPY <<EOF <<'RAW' /d/\n$V\nEOF\n$V\nRAW\n");
  const PlanStage& stage = plan.stages[0];
  EXPECT_EQ(run_at(stage, 1).argv, (Names{"/bin/sh", "-c", "echo $V\n"}));
  ASSERT_TRUE(run_at(stage, 2).script.has_value());
  EXPECT_EQ(run_at(stage, 2).script->content, "#!/usr/bin/python3\nprint(1)\n");
  EXPECT_EQ(copy_at(stage, 3).inline_sources, (std::vector<api::InlineFile>{{"EOF", "1\n"}, {"RAW", "$V\n"}}));
}

TEST(Solve, DestinationsAreFoldersWhenTheyLookLikeOneOrTakeSeveralSources) {
  const Plan plan =
      solved("FROM a\nWORKDIR /w\nCOPY x y\nCOPY x y/\nCOPY x .\nCOPY a b c\nCOPY x /\nCOPY /s/../t ../u/.\n");
  const struct {
    std::size_t step;
    const char* destination;
    bool folder;
  } rows[] = {{1, "/w/y", false}, {2, "/w/y", true}, {3, "/w", true},
              {4, "/w/c", true},  {5, "/", true},    {6, "/u", true}};
  for (const auto& row : rows) {
    EXPECT_EQ(copy_at(plan.stages[0], row.step).destination, row.destination) << row.step;
    EXPECT_EQ(copy_at(plan.stages[0], row.step).destination_is_folder, row.folder) << row.step;
  }
  EXPECT_EQ(copy_at(plan.stages[0], 6).sources, (Names{"t"}));
}

TEST(Solve, CollectsPortsVolumesLabelsAndTheRest) {
  const Plan plan = solved(
      "FROM scratch\nARG P=\"443 53/UDP\"\nEXPOSE 80 $P 8000-8001\nVOLUME /data /data\nVOLUME [\"/v w\"]\n"
      "LABEL a=1 \"b c\"=2\nSTOPSIGNAL sigterm\nMAINTAINER somebody\nSHELL [\"/sh\",\"-e\"]\n"
      "HEALTHCHECK --interval=5s --retries=2 CMD curl x\nCMD echo hi\n");
  const oci::RunConfig& config = plan.stages[0].config;
  EXPECT_EQ(config.exposed_ports, (Names{"443/tcp", "53/udp", "80/tcp", "8000/tcp", "8001/tcp"}));
  EXPECT_EQ(config.volumes, (Names{"/data", "/v w"}));
  EXPECT_EQ(config.labels, (std::map<std::string, std::string>{{"a", "1"}, {"b c", "2"}}));
  EXPECT_EQ(config.stop_signal, "sigterm");
  EXPECT_EQ(plan.stages[0].author, "somebody");
  EXPECT_EQ(config.healthcheck->test, (Names{"CMD-SHELL", "curl x"}));
  EXPECT_EQ(config.healthcheck->interval_ns, 5'000'000'000);
  EXPECT_EQ(config.cmd, (Names{"/sh", "-e", "echo hi"}));
  EXPECT_EQ(plan.stages[0].steps.back().created_by, "CMD [\"/sh\" \"-e\" \"echo hi\"]");
}

TEST(Solve, WarnsOfBuildArgsThatNothingDeclares) {
  const Plan plan = solved("ARG A\nFROM scratch\nARG B\n", {.build_args = {{"A", "1"}, {"B", "2"}, {"C", "3"}}});
  ASSERT_EQ(plan.warnings.size(), 1U);
  EXPECT_NE(plan.warnings[0].message.find("--build-arg C"), std::string::npos);
}

TEST(Solve, IsTheSameEveryTime) {
  const std::string text = "FROM a AS x\nRUN 1\nFROM b AS y\nRUN 2\nFROM c\nCOPY --from=x /1 /\nCOPY --from=y /2 /\n";
  EXPECT_EQ(solved(text).json(), solved(text).json());
}

struct Refused {
  const char* name;
  const char* text;
  const char* message;  // The beginning of it.
  ErrorCode code = ErrorCode::kInvalidInput;
};

class RefusedDockerfiles : public testing::TestWithParam<Refused> {};

TEST_P(RefusedDockerfiles, AreErrorsThatSayWhereAndWhy) {
  const Result<Plan> plan = solve_text(GetParam().text);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().message.substr(0, std::string(GetParam().message).size()), GetParam().message);
  EXPECT_EQ(plan.error().code, GetParam().code);
}

constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Table, RefusedDockerfiles,
    testing::Values(
        Refused{"WrongStage", "FROM n AS build\nFROM n\nCOPY --from=builder /a /b\n",
                "Dockerfile:3:6: unknown stage 'builder'; did you mean 'build'?"},
        Refused{"Insecure", "FROM a\nRUN --security=insecure x\n", "Dockerfile:2:16: RUN --security=insecure",
                kUnsupported},
        Refused{"Device", "FROM a\nRUN --device=vendor.com/gpu x\n", "Dockerfile:2:14: RUN --device", kUnsupported},
        Refused{"MountOnTheRoot", "FROM a\nRUN --mount=type=tmpfs,target=/ x\n",
                "Dockerfile:2:31: a mount cannot take the place of the whole file system"},
        Refused{"MountWithoutATargetInTheRoot", "FROM a\nWORKDIR /\nRUN --mount=type=bind,source=x y\n",
                "Dockerfile:3:13: a mount cannot take"},
        Refused{"MountOfAnUnknownStage", "FROM n AS build\nFROM n\nRUN --mount=from=builder,target=/x y\n",
                "Dockerfile:3:13: unknown stage 'builder'; did you mean 'build'?"},
        Refused{"BindFromScratch", "FROM a\nRUN --mount=from=scratch,target=/x y\n",
                "Dockerfile:2:13: there is nothing to copy from 'scratch'"},
        Refused{"CopyOfAnAddress", "FROM a\nCOPY https://x.example/y /y\n",
                "Dockerfile:2:6: COPY takes no files from the network; use ADD"},
        Refused{"ChecksumOfTwo", "FROM a\nADD --checksum=sha256:00 https://x.example/y z /y/\n",
                "Dockerfile:2:16: ADD --checksum is for one source"},
        Refused{"KeepGitDirOfAFile", "FROM a\nADD --keep-git-dir https://x.example/y /y\n",
                "Dockerfile:2:1: ADD --keep-git-dir is for Git"},
        Refused{"OtherScheme", "FROM a\nADD ftp://x.example/y /y\n", "Dockerfile:2:5: ", kUnsupported},
        Refused{"BadModeByVariable", "FROM a\nARG M=rw\nCOPY --chmod=$M a b\n", "Dockerfile:3:14: "},
        Refused{"BadPort", "FROM a\nEXPOSE http\n", "Dockerfile:2:8: 'http' is no port"},
        Refused{"PortRangeBackwards", "FROM a\nEXPOSE 9-8\n", "Dockerfile:2:8: '9-8' is no range"},
        Refused{"BadSignal", "FROM a\nSTOPSIGNAL BYE\n", "Dockerfile:2:12: 'BYE' is no signal"},
        Refused{"EmptyUser", "FROM a\nUSER $NOBODY\n", "Dockerfile:2:6: USER is empty"},
        Refused{"CopyFromScratch", "FROM a\nCOPY --from=scratch /a /b\n", "Dockerfile:2:6: there is nothing to copy"},
        Refused{"RequiredVariable", "FROM a\nWORKDIR /x${V:?needs V}\n", "Dockerfile:2:11: "},
        Refused{"BadPlatform", "FROM --platform=beos/ppc a\n", "Dockerfile:1:17: "}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(MissingImages, AreNamedOnceInOrderOfAppearanceWithoutThoseOfUnneededStages) {
  const auto file = dockerfile::parse("FROM x AS x1\nFROM b\nCOPY --from=c /1 /\nCOPY --from=b /2 /\n");
  ASSERT_TRUE(file.ok());
  const auto missing = missing_images(*file, {}, {});
  ASSERT_TRUE(missing.ok()) << missing.error().message;
  ASSERT_EQ(missing->size(), 2U);
  EXPECT_EQ(missing->at(0).name, "b");
  EXPECT_EQ(missing->at(1).name, "c");
}

TEST(MissingImages, AppearWithTheTriggersOfAKnownImage) {
  const auto file = dockerfile::parse("FROM b\n");
  ASSERT_TRUE(file.ok());
  oci::RunConfig config;
  config.on_build = {"COPY --from=extra:1 /x /x"};
  const Images known = {{ImageNeed{"b", oci::Platform::host().str(), {}}, image("b", config)}};
  const auto missing = missing_images(*file, {}, known);
  ASSERT_TRUE(missing.ok()) << missing.error().message;
  ASSERT_EQ(missing->size(), 1U);
  EXPECT_EQ(missing->at(0).name, "extra:1");
}

}  // namespace
}  // namespace imagebuild::build
