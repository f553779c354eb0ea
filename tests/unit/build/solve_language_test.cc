// What the flags of RUN, COPY and ADD, and named contexts, become in a plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/solve.h"
#include "oci/digest.h"

namespace imagebuild::build {
namespace {

using api::BindMount;
using api::CacheMount;
using api::CacheSharing;
using api::CopyStep;
using api::FromContext;
using api::FromStage;
using api::FromTree;
using api::Plan;
using api::RunStep;
using api::SshMount;
using api::TmpfsMount;
using testing::ElementsAre;

// The plan, with a plain image for every name; aborts when there is none.
Plan solved(const std::string& text, const SolveOptions& options = {}) {
  const auto file = dockerfile::parse(text);
  Images known;
  while (file.ok()) {
    const auto missing = missing_images(*file, options, known);
    if (!missing.ok() || missing->empty()) break;
    for (const ImageNeed& need : *missing) {
      known.emplace(need, api::BaseImage{need.name, need.name, oci::Digest::of(need.name).str(), "{}",
                                         oci::ImageConfig().json()});
    }
  }
  Result<Plan> plan = file.ok() ? solve(*file, options, known) : Result<Plan>(file.error());
  if (plan.ok()) return *std::move(plan);
  ADD_FAILURE() << plan.error().message;
  std::abort();
}

// The first step of this kind in the last stage.
template <class Kind>
Kind first(const Plan& plan) {
  for (const api::Step& step : plan.stages.back().steps) {
    if (const auto* found = std::get_if<Kind>(&step.action)) return *found;
  }
  ADD_FAILURE() << "no such step";
  return {};
}

std::vector<api::Mount> mounts_of(const std::string& flags) {
  return first<RunStep>(solved("FROM a\nWORKDIR /w\nRUN " + flags + " x\n")).mounts;
}

TEST(SolveMounts, HaveBuildKitsDefaults) {
  EXPECT_THAT(mounts_of("--mount=target=/src"), ElementsAre(BindMount{FromContext{}, "", "/src", false}));
  EXPECT_THAT(mounts_of("--mount=type=bind,source=sub/../a,target=b,rw"),
              ElementsAre(BindMount{FromContext{}, "a", "/w/b", true}));
  EXPECT_THAT(mounts_of("--mount=type=bind,source=a"), ElementsAre(BindMount{FromContext{}, "a", "/w", false}));
  EXPECT_THAT(mounts_of("--mount=type=cache,target=/root/.cache/"),
              ElementsAre(CacheMount{"/root/.cache/", "/root/.cache"}));
  EXPECT_THAT(mounts_of("--mount=type=cache,id=c,target=/c,sharing=locked,ro,mode=0700,uid=1,gid=2"),
              ElementsAre(CacheMount{"c", "/c", CacheSharing::kLocked, std::nullopt, "", true, 0700, 1, 2}));
  EXPECT_THAT(mounts_of("--mount=type=tmpfs,target=/tmp,size=2m"), ElementsAre(TmpfsMount{"/tmp", 2U << 20}));
  EXPECT_THAT(mounts_of("--mount=type=ssh"), ElementsAre(SshMount{"default", "/run/buildkit/ssh_agent.0"}));
}

TEST(SolveMounts, ExpandVariables) {
  const Plan plan = solved("FROM a\nARG S=locked\nENV T=/c\nRUN --mount=type=cache,target=$T,sharing=$S x\n");
  EXPECT_THAT(first<RunStep>(plan).mounts, ElementsAre(CacheMount{"/c", "/c", CacheSharing::kLocked}));
}

TEST(SolveMounts, AreSortedSoThatAFolderComesBeforeWhatIsMountedInIt) {
  EXPECT_THAT(mounts_of("--mount=type=cache,target=/src/node_modules --mount=type=bind,target=/src"),
              ElementsAre(BindMount{FromContext{}, "", "/src"}, CacheMount{"/src/node_modules", "/src/node_modules"}));
}

TEST(SolveMounts, OfAStageMakeItExportWhatIsMounted) {
  const Plan plan = solved(
      "FROM a AS tools\nRUN make\nFROM b\n"
      "RUN --mount=from=tools,source=/opt/bin,target=/t --mount=type=cache,target=/c,from=tools,source=seed x\n");
  EXPECT_THAT(first<RunStep>(plan).mounts,
              ElementsAre(CacheMount{"/c", "/c", CacheSharing::kShared, FromStage{0}, "seed"},
                          BindMount{FromStage{0}, "opt/bin", "/t"}));
  EXPECT_THAT(plan.stages[0].exports, ElementsAre("opt/bin", "seed"));
  EXPECT_THAT(plan.stages[1].needs, ElementsAre(0));
}

TEST(SolveMounts, OfTheFirstSshMountTellItsSocket) {
  const RunStep run = first<RunStep>(
      solved("FROM a\nRUN --mount=type=ssh,target=/agent,required --mount=type=ssh,id=two,mode=0666 git clone\n"));
  EXPECT_THAT(run.env, testing::Contains("SSH_AUTH_SOCK=/agent"));
  EXPECT_THAT(run.mounts, ElementsAre(SshMount{"default", "/agent", true},
                                      SshMount{"two", "/run/buildkit/ssh_agent.1", false, 0666}));
}

TEST(SolveWorkdir, OfNothingStaysWhereItIs) {
  EXPECT_EQ(solved("FROM a\nWORKDIR /w\nWORKDIR $NOWHERE\n").stages[0].config.working_dir, "/w");
}

TEST(SolveRun, TakesItsNetwork) {
  EXPECT_EQ(first<RunStep>(solved("FROM a\nRUN --network=none x\n")).network, api::Network::kNone);
  EXPECT_EQ(first<RunStep>(solved("FROM a\nRUN --network=host x\n")).network, api::Network::kHost);
  EXPECT_EQ(first<RunStep>(solved("FROM a\nRUN x\n")).network, api::Network::kDefault);
}

TEST(SolveCopy, TakesEveryFlag) {
  const Plan plan = solved(
      "FROM a\nARG O=*.o\nCOPY --link --parents --exclude=$O --exclude=b --chmod=u+x --chown=1 ./a/./b/*.c x /d/\n");
  const CopyStep copy = first<CopyStep>(plan);
  EXPECT_TRUE(copy.link && copy.parents && copy.destination_is_folder);
  EXPECT_THAT(copy.exclude, ElementsAre("*.o", "b"));
  EXPECT_EQ(copy.mode, "u+x");
  EXPECT_EQ(copy.owner, "1");
  EXPECT_THAT(copy.sources, ElementsAre("a/./b/*.c", "x"));
}

TEST(SolveCopy, WithParentsExportsTheWholePattern) {
  const Plan plan = solved("FROM a AS s\nRUN x\nFROM b\nCOPY --from=s --parents /p/./q/* /d/\n");
  EXPECT_THAT(plan.stages[0].exports, ElementsAre("p/q/*"));
  EXPECT_THAT(first<CopyStep>(plan).sources, ElementsAre("p/./q/*"));
}

TEST(SolveAdd, MakesATreeOfWhatIsElsewhere) {
  const Plan plan = solved(
      "FROM a\nADD --checksum=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef --unpack "
      "https://x.example/y.tgz /y\n"
      "ADD --keep-git-dir https://x.example/r.git#v1:sub local /z/\nADD https://x.example/plain /p\n");
  ASSERT_EQ(plan.trees.size(), 3U);
  EXPECT_EQ(std::get<api::HttpDownload>(plan.trees[0].origin),
            (api::HttpDownload{"https://x.example/y.tgz",
                               "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}));
  EXPECT_EQ(std::get<api::GitCheckout>(plan.trees[1].origin),
            (api::GitCheckout{"https://x.example/r.git", "v1", "sub", "", true, true}));
  EXPECT_EQ(plan.trees[1].at, (api::SourceLine{3, 20}));
  const auto& unpacked = std::get<CopyStep>(plan.stages[0].steps[0].action);
  EXPECT_THAT(unpacked.remotes, ElementsAre(api::RemoteSource{0, true}));
  const auto& mixed = std::get<CopyStep>(plan.stages[0].steps[1].action);
  EXPECT_THAT(mixed.remotes, ElementsAre(api::RemoteSource{1, false}));
  EXPECT_THAT(mixed.sources, ElementsAre("local"));
}

TEST(SolveAdd, WithoutUnpackKeepsALocalArchive) {
  EXPECT_FALSE(first<CopyStep>(solved("FROM a\nADD --unpack=false a.tar /\n")).unpack_archives);
  EXPECT_TRUE(first<CopyStep>(solved("FROM a\nADD a.tar /\n")).unpack_archives);
}

TEST(SolveNamedContexts, StandForAnImageOrAFolder) {
  SolveOptions options;
  options.named_contexts = {{"alpine", "mirror.example/alpine:edge"}, {"assets", ""}, {"built", "oci-layout:///srv/b"}};
  const Plan plan = solved(
      "FROM alpine\nCOPY --from=assets logo /l\nCOPY --from=built /x /x\n"
      "RUN --mount=from=assets,target=/a x\n",
      options);
  ASSERT_EQ(plan.trees.size(), 1U);
  EXPECT_EQ(std::get<api::NamedContext>(plan.trees[0].origin).name, "assets");
  EXPECT_THAT(first<RunStep>(plan).mounts, ElementsAre(BindMount{FromTree{0}, "", "/a"}));
  EXPECT_EQ(first<CopyStep>(plan).from, api::CopyFrom(FromTree{0}));
  std::vector<std::string> images;
  for (const api::BaseImage& image : plan.images) images.push_back(image.name);
  EXPECT_THAT(images, ElementsAre("mirror.example/alpine:edge", "oci-layout:///srv/b"));
}

TEST(SolveNamedContexts, TakeThePlaceOfAStage) {
  SolveOptions options;
  options.named_contexts = {{"build", "done.example/app:1"}};
  const Plan plan = solved("FROM gcc AS build\nRUN make\nFROM scratch\nCOPY --from=build /app /app\n", options);
  ASSERT_EQ(plan.stages.size(), 2U);
  EXPECT_EQ(plan.stages[0].name, "image done.example/app:1");
}

}  // namespace
}  // namespace imagebuild::build
