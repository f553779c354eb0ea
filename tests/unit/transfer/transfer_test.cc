// The artifacts of a build through a registry: what is stored, what is fetched, and what nobody gets to read or write.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <fstream>

#include "api/volume.h"
#include "base/file.h"
#include "builder/transfer/bundle.h"
#include "builder/transfer/needs.h"
#include "builder/transfer/stage_end.h"
#include "builder/transfer/transfer_job.h"
#include "fakes/fake_registry.h"
#include "fakes/no_processes.h"
#include "http/curl_transport.h"
#include "oci/manifest.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string text_of(const fs::path& path) {
  const auto text = read_file(path, 1U << 20);
  return text.ok() ? *text : text.error().message;
}

std::vector<std::string> files_in(const fs::path& root) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_directory()) found.push_back(entry.path().lexically_relative(root));
  }
  std::ranges::sort(found);
  return found;
}

api::Step copy(api::CopyFrom from) {
  return {.at = {2, 1}, .text = "COPY", .action = api::CopyStep{.from = from, .sources = {"a"}, .destination = "/a"}};
}
api::Step run() {
  return {.at = {2, 1}, .text = "RUN", .action = api::RunStep{.argv = {"/a"}, .working_dir = "/"}};
}

const std::string kStageProgram = volume::stage_program(oci::Platform::host().architecture());

// files (computed, in prepare) → build (on image 1) → more (on build) → final (computed, in publish, from more).
enum Stage { kFiles, kBuild, kMore, kFinal };
api::Plan sample_plan() {
  api::Plan plan;
  plan.images.resize(2);
  plan.images[0].name = "a";
  plan.images[1].name = "b";
  plan.stages = {
      {.name = "files", .base = api::Scratch{}, .steps = {copy(api::FromContext{})}, .exports = {"a"}},
      {.name = "build",
       .base = api::OnImage{1},
       .platform = oci::Platform::host().str(),
       .steps = {copy(api::FromStage{kFiles}), run()},
       .needs = {kFiles},
       .keep_layers = true,
       .needs_container = true},
      {.name = "more",
       .base = api::OnStage{kBuild},
       .platform = oci::Platform::host().str(),
       .steps = {run()},
       .needs = {kBuild},
       .needs_container = true},
      {.name = "final",
       .base = api::OnImage{0},
       .steps = {copy(api::FromStage{kMore}), copy(api::FromContext{})},
       .needs = {kMore}},
  };
  plan.targets = {{kFinal, "linux/amd64", ""}};
  return plan;
}

TEST(ArtifactNeeds, AreWhatAStageCopiesAndMounts) {
  struct Row {
    const char* name;
    decltype(api::Step::action) action;
    ArtifactNeeds needs;
  };
  api::CacheMount cache{"go", "/cache"};
  cache.from = api::FromTree{2};
  api::CopyStep remotes{.remotes = {{0, false}, {3, true}}};
  const auto mounting = [](api::Mount mount) { return api::RunStep{.mounts = {std::move(mount)}}; };
  const std::vector<Row> rows = {
      {"a copy from the context", api::CopyStep{.from = api::FromContext{}, .sources = {"a"}}, {.context = true}},
      {"a copy of text alone", api::CopyStep{.from = api::FromContext{}}, {}},
      {"a copy from a tree", api::CopyStep{.from = api::FromTree{1}, .sources = {"a"}}, {.trees = {1}}},
      {"downloads and checkouts", remotes, {.trees = {0, 3}}},
      {"a mount of the context", mounting(api::BindMount{api::FromContext{}, "", "/src"}), {.context = true}},
      {"a mount of a stage", mounting(api::BindMount{api::FromStage{0}, "a", "/a"}), {.exports = {0}}},
      {"what a cache begins with", mounting(cache), {.trees = {2}}},
      {"an empty cache", mounting(api::CacheMount{"go", "/cache"}), {}},
  };
  for (const Row& row : rows) {
    api::Plan plan;
    api::Step step;
    step.action = row.action;
    plan.stages = {{.name = "first", .base = api::Scratch{}},
                   {.name = "second", .base = api::Scratch{}, .steps = {step}, .needs = {0}}};
    const ArtifactNeeds needs = needs_of_stage(plan, 1);
    EXPECT_EQ(needs.context, row.needs.context) << row.name;
    EXPECT_EQ(needs.trees, row.needs.trees) << row.name;
    EXPECT_EQ(needs.exports, row.needs.exports) << row.name;
    for (const int tree : {0, 1, 2, 3}) {
      EXPECT_EQ(needs.includes(volume::tree_tar(tree)), row.needs.trees.contains(tree)) << row.name;
    }
  }
  EXPECT_TRUE(is_artifact(volume::tree_index(12)) && is_artifact(volume::tree_tar(12)));
  EXPECT_FALSE(is_artifact("trees/1.exe") || is_artifact("trees/x.tar"));
}

class TransferTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("transfer-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    write(temp_->path() / "imagebuild-stage", "the program");
  }

  // A new volume, as each pod has one.
  fs::path volume_of(const std::string& pod) {
    fs::create_directories(temp_->path() / pod);
    return temp_->path() / pod;
  }
  TransferJob transfer(const fs::path& root) {
    TransferJob transfer;
    transfer.job.build.spec.artifacts = {api::Transport::kRegistry, {}, registry_.host() + "/team/artifacts"};
    transfer.job.build.spec.output.image = registry_.host() + "/team/app:1";
    transfer.job.volume = root;
    transfer.job.mounts = temp_->path() / "mounts";
    transfer.tag = "0123456789abcdef-3";
    return transfer;
  }
  fs::path prepared(const api::Plan& plan) {
    const fs::path root = volume_of("prepare");
    write(root / volume::kPlan, plan.json());
    write(root / kStageProgram, "the program");
    write(root / volume::kContextIndex, "index");
    write(root / volume::kContextTar, "tar");
    write(root / volume::base_index(0), "base 0");
    write(root / volume::base_index(1), "base 1");
    write_stage(root, kFiles, "from files");
    return root;
  }
  static void write_stage(const fs::path& root, int stage, const std::string& text, bool failed = false) {
    const fs::path folder = root / volume::stage_folder(stage);
    write(folder / "begun", "");
    write(folder / volume::layer_file(0, ".tar.gz"), text + ": layer");
    write(folder / volume::kExportIndex, text + ": export index");
    write(folder / volume::kExportTar, text + ": export");
    api::StageReport report;
    report.stage = text;
    if (failed) report.failure = api::Failure{.stage = text, .code = "Failed", .message = "it failed"};
    write(folder / volume::kReport, report.json());
  }
  Status fetch(const fs::path& root, int stage) {
    return fetch_for_stage(transfer(root), stage, temp_->path() / "imagebuild-stage", processes_, {});
  }
  void prepare_and_store(const api::Plan& plan) {
    const Status stored = store_prepared(transfer(prepared(plan)), processes_, {});
    ASSERT_TRUE(stored.ok()) << stored.error().message;
  }
  void run_stage(int stage, const std::string& text) {
    const fs::path root = volume_of(text);
    const Status fetched = fetch(root, stage);
    ASSERT_TRUE(fetched.ok()) << fetched.error().message;
    write_stage(root, stage, text);
    const Status stored = store_stage(transfer(root), stage, processes_, {});
    ASSERT_TRUE(stored.ok()) << stored.error().message;
  }
  std::optional<oci::Manifest> bundle(const std::string& tag) {
    const auto text = registry_.manifest("team/artifacts", tag);
    if (!text) return std::nullopt;
    const auto manifest = oci::Manifest::parse(*text);
    return manifest.ok() ? std::optional(*manifest) : std::nullopt;
  }
  std::string stage_tag(const api::Plan& plan, int stage) {
    const std::string digest(oci::Digest::of(plan.json()).hex().substr(0, 12));
    return "0123456789abcdef-3-" + digest + "-s" + std::to_string(stage);
  }

  std::optional<TempDir> temp_;
  fakes::FakeRegistry registry_;
  fakes::NoProcesses processes_;
};

TEST_F(TransferTest, APodGetsWhatItsWorkReadsAndNothingElse) {
  const api::Plan plan = sample_plan();
  prepare_and_store(plan);

  const fs::path build = volume_of("build");
  ASSERT_TRUE(fetch(build, kBuild).ok());
  EXPECT_THAT(files_in(build), ElementsAre("bases/1.index", kStageProgram, "plan.json", "stages/0/exports/export.index",
                                           "stages/0/exports/export.tar"));
  EXPECT_EQ(text_of(build / volume::kPlan), plan.json());
  EXPECT_EQ(text_of(build / "stages/0/exports/export.tar"), "from files: export");
  EXPECT_EQ(text_of(build / kStageProgram), "the program");
  EXPECT_EQ(fs::status(build / kStageProgram).permissions(), static_cast<fs::perms>(0755));
  write_stage(build, kBuild, "from build");
  ASSERT_TRUE(store_stage(transfer(build), kBuild, processes_, {}).ok());

  const fs::path more = volume_of("more");
  ASSERT_TRUE(fetch(more, kMore).ok());
  EXPECT_THAT(files_in(more), ElementsAre("bases/1.index", kStageProgram, "plan.json", "stages/1/layers/0.tar.gz",
                                          "stages/1/report.json"));
  EXPECT_EQ(text_of(more / "stages/1/layers/0.tar.gz"), "from build: layer");
  write_stage(more, kMore, "from more");
  ASSERT_TRUE(store_stage(transfer(more), kMore, processes_, {}).ok());

  const fs::path publish = volume_of("publish");
  const Status fetched = fetch_for_publish(transfer(publish), processes_, {});
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_THAT(files_in(publish),
              ElementsAre("bases/0.index", "context/context.index", "context/context.tar", "plan.json",
                          "stages/0/report.json", "stages/1/report.json", "stages/2/exports/export.index",
                          "stages/2/exports/export.tar", "stages/2/report.json"));
  EXPECT_EQ(text_of(publish / "stages/2/exports/export.tar"), "from more: export");
}

TEST_F(TransferTest, ABundleIsAManifestWithALayerForEachFile) {
  const api::Plan plan = sample_plan();
  prepare_and_store(plan);
  run_stage(kBuild, "build");
  const auto manifest = bundle(stage_tag(plan, kBuild));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->media_type, oci::media_type::kOciManifest);
  EXPECT_EQ(manifest->config.media_type, kBundleConfigType);
  std::vector<std::string> titles;
  for (const oci::Descriptor& layer : manifest->layers) {
    EXPECT_EQ(layer.media_type, kBundleFileType);
    titles.push_back(layer.annotations.at(std::string(kTitleAnnotation)));
  }
  EXPECT_THAT(titles, ElementsAre("stages/1/exports/export.index", "stages/1/exports/export.tar",
                                  "stages/1/layers/0.tar.gz", "stages/1/report.json"));
  EXPECT_FALSE(bundle("0123456789abcdef-3-s1"));
  const auto prepared = bundle("0123456789abcdef-3-prepare");
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared->layers.size(), 9U);  // Without the program.
}

TEST_F(TransferTest, TheFirstAttemptThatArrivesCounts) {
  const api::Plan plan = sample_plan();
  prepare_and_store(plan);
  run_stage(kBuild, "first");
  const auto first = registry_.manifest("team/artifacts", stage_tag(plan, kBuild));
  run_stage(kBuild, "second");
  EXPECT_EQ(registry_.manifest("team/artifacts", stage_tag(plan, kBuild)), first);
}

TEST_F(TransferTest, AnotherPlanDoesNotTakeTheStagesOfTheFormer) {
  api::Plan plan = sample_plan();
  prepare_and_store(plan);
  run_stage(kBuild, "first");
  plan.epoch_s = 7;
  prepare_and_store(plan);
  const Status fetched = fetch(volume_of("more"), kMore);
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(fetched.error().message, HasSubstr("the artifacts of the build are gone"));
}

TEST_F(TransferTest, AStageThatFailedOrWasKilledStoresNothing) {
  const api::Plan plan = sample_plan();
  prepare_and_store(plan);
  const fs::path failed = volume_of("failed");
  ASSERT_TRUE(fetch(failed, kBuild).ok());
  write_stage(failed, kBuild, "failed", true);
  EXPECT_TRUE(store_stage(transfer(failed), kBuild, processes_, {}).ok());
  const fs::path killed = volume_of("killed");
  ASSERT_TRUE(fetch(killed, kBuild).ok());
  write(killed / volume::stage_folder(kBuild) / "begun", "");
  EXPECT_TRUE(store_stage(transfer(killed), kBuild, processes_, {}).ok());
  EXPECT_FALSE(bundle(stage_tag(plan, kBuild)));
}

// The commands of a stage may leave anything in its folder, beside credentials that they must not see.
TEST_F(TransferTest, WhatAStageLinksToIsNotStored) {
  const api::Plan plan = sample_plan();
  prepare_and_store(plan);
  write(temp_->path() / "credentials", "secret");
  const fs::path root = volume_of("evil");
  ASSERT_TRUE(fetch(root, kBuild).ok());
  write_stage(root, kBuild, "evil");
  const fs::path folder = root / volume::stage_folder(kBuild);
  fs::remove(folder / volume::kExportTar);
  fs::create_symlink(temp_->path() / "credentials", folder / volume::kExportTar);
  write(folder / "layers/../notes", "not an artifact");
  ASSERT_TRUE(store_stage(transfer(root), kBuild, processes_, {}).ok());
  const auto manifest = bundle(stage_tag(plan, kBuild));
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->layers.size(), 3U);
  EXPECT_FALSE(registry_.blob("team/artifacts", oci::Digest::of("secret")));

  // A link that comes after the look is not followed either.
  fs::remove_all(folder / "layers");
  fs::create_directory_symlink(temp_->path(), folder / "layers");
  write(temp_->path() / "0.tar", "secret");
  http::CurlTransport http{http::CurlOptions{}};
  registry::Client client(http, {});
  const auto to = oci::Reference::parse(registry_.host() + "/team/artifacts:evil");
  for (const char* path : {"stages/1/exports/export.tar", "stages/1/layers/0.tar"}) {
    EXPECT_FALSE(push_bundle(client, *to, root, {path}, {}).ok()) << path;
  }
  EXPECT_FALSE(registry_.blob("team/artifacts", oci::Digest::of("secret")));
  fs::remove(folder / volume::kReport);
  fs::create_symlink(temp_->path() / "credentials", folder / volume::kReport);
  EXPECT_FALSE(store_stage(transfer(root), kBuild, processes_, {}).ok());
}

TEST_F(TransferTest, ABundleWithOtherPathsThanArtifactsIsNotFetched) {
  const oci::Digest blob = registry_.add_blob("team/artifacts", "x");
  for (const char* path : {"../plan.json", "/etc/passwd", "stages/1/../../x", "bin/imagebuild-stage", "secrets/0", "",
                           "stages/1/layers/../../../x", "stages/1/layers/0/x", "bases/1", "stages/x/report.json",
                           "stages/1/layers/0.tar\n", "bases/1.index/x", "stages//report.json"}) {
    const oci::Descriptor file{std::string(kBundleFileType), blob, 1, {}, {{std::string(kTitleAnnotation), path}}};
    const oci::Descriptor config{std::string(kBundleConfigType), blob, 1, {}, {}};
    const oci::Manifest manifest{std::string(oci::media_type::kOciManifest), config, {file}, {}};
    registry_.add_manifest("team/artifacts", "0123456789abcdef-3-prepare", manifest.media_type, manifest.json());
    const fs::path root = volume_of("victim");
    const Status fetched = fetch_for_publish(transfer(root), processes_, {});
    ASSERT_FALSE(fetched.ok()) << path;
    EXPECT_EQ(fetched.error().code, ErrorCode::kCorrupt) << path;
    EXPECT_THAT(files_in(root), IsEmpty()) << path;
  }
}

TEST_F(TransferTest, AnImageIsNoBundle) {
  const oci::Digest blob = registry_.add_blob("team/artifacts", "x");
  const oci::Manifest manifest{
      std::string(oci::media_type::kOciManifest), {std::string(oci::media_type::kOciConfig), blob, 1, {}, {}}, {}, {}};
  registry_.add_manifest("team/artifacts", "0123456789abcdef-3-prepare", manifest.media_type, manifest.json());
  const Status fetched = fetch_for_publish(transfer(volume_of("publish")), processes_, {});
  ASSERT_FALSE(fetched.ok());
  EXPECT_THAT(fetched.error().message, HasSubstr("does not hold artifacts of a build"));
}

TEST_F(TransferTest, BytesThatDoNotMatchTheirDigestAreRefused) {
  prepare_and_store(sample_plan());
  registry_.inject({.kind = fakes::Fault::Kind::kCorrupt, .method = "GET", .path_part = "/blobs/", .times = 100});
  const Status fetched = fetch(volume_of("build"), kBuild);
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kCorrupt);
}

TEST(StageEnd, IsWhenNobodyHoldsTheFolderAnyMore) {
  const auto temp = TempDir::create("stage-end-test-");
  ASSERT_TRUE(temp.ok());
  const fs::path folder = temp->path() / "stages/0";
  UniqueFd lock;
  int round = 0;
  const Status ended = wait_for_stage_end(folder, {}, [&](std::chrono::milliseconds) {
    ++round;
    if (round == 1) fs::create_directories(folder);  // The kubelet makes it long before.
    if (round == 3) {
      lock.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY));
      ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
    }
    if (round == 5) write(folder / "report.json", "written before the end");
    if (round == 7) lock.reset();
    ASSERT_LT(round, 20);
  });
  EXPECT_TRUE(ended.ok());
  EXPECT_EQ(round, 7);
}

TEST(StageEnd, ComesAlsoForAStageThatWasOverBeforeAnybodyLooked) {
  const auto temp = TempDir::create("stage-end-test-");
  ASSERT_TRUE(temp.ok());
  write(temp->path() / "stages/0/begun", "");
  EXPECT_TRUE(wait_for_stage_end(temp->path() / "stages/0", {}, [](auto) { FAIL() << "waits"; }).ok());
}

TEST(StageEnd, TheWaitCanBeStopped) {
  const auto temp = TempDir::create("stage-end-test-");
  ASSERT_TRUE(temp.ok());
  std::stop_source stop;
  const Status ended = wait_for_stage_end(temp->path(), stop.get_token(), [&](auto) { stop.request_stop(); });
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace imagebuild::builder
