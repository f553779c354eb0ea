#include "cli/stage_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "cli/stage_key.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;

struct StageCacheTest : testing::Test {
  TempDir folder = std::move(*TempDir::create("imagebuild-stage-cache-test-"));
  Store store = std::move(*Store::open(folder.path() / "store"));
  StageCache cache{store};

  // A finished stage's folder with a layer of so many bytes.
  fs::path stage_folder(const std::string& name, std::size_t bytes) {
    const fs::path path = folder.path() / name;
    fs::create_directories(path / "layers");
    api::StageReport report;
    report.stage = name;
    EXPECT_TRUE(write_file_atomically(path / "layers/0.tar.gz", std::string(bytes, 'x')).ok());
    EXPECT_TRUE(write_file_atomically(path / api::volume::kReport, report.json()).ok());
    return path;
  }
};

TEST_F(StageCacheTest, GivesBackWhatWasKept) {
  const oci::Digest key = oci::Digest::of("key");
  EXPECT_FALSE(cache.take(key, folder.path() / "taken"));
  EXPECT_FALSE(fs::exists(folder.path() / "taken"));
  ASSERT_TRUE(cache.keep(key, stage_folder("build", 10)).ok());
  fs::remove_all(folder.path() / "build");
  const auto report = cache.take(key, folder.path() / "taken");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->stage, "build");
  EXPECT_EQ(*read_file(folder.path() / "taken/layers/0.tar.gz", 100), std::string(10, 'x'));
  EXPECT_FALSE(cache.take(oci::Digest::of("other key"), folder.path() / "other"));
  ASSERT_TRUE(cache.keep(key, stage_folder("again", 11)).ok()) << "a newer result takes the place of the older one";
}

TEST_F(StageCacheTest, NeverGivesAHalfOrAFailedResult) {
  const oci::Digest key = oci::Digest::of("key");
  fs::create_directories(store.stage(key) / "layers");
  EXPECT_FALSE(cache.take(key, folder.path() / "taken"));
  ASSERT_TRUE(write_file_atomically(store.stage(key) / api::volume::kReport, "{").ok());
  EXPECT_FALSE(cache.take(key, folder.path() / "taken"));
  api::StageReport failed;
  failed.stage = "build";
  failed.failure = api::Failure{.stage = "build", .message = "exit 1"};
  ASSERT_TRUE(write_file_atomically(store.stage(key) / api::volume::kReport, failed.json()).ok());
  EXPECT_FALSE(cache.take(key, folder.path() / "taken"));
}

void set_used(const fs::path& path, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

TEST_F(StageCacheTest, TrimsWhatWasNotUsedForLongest) {
  const oci::Digest old_key = oci::Digest::of("old");
  const oci::Digest new_key = oci::Digest::of("new");
  ASSERT_TRUE(cache.keep(old_key, stage_folder("a", 5000)).ok());
  ASSERT_TRUE(cache.keep(new_key, stage_folder("b", 5000)).ok());
  set_used(store.stage(old_key), 1000);
  set_used(store.stage(new_key), 2000);
  cache.trim(20'000);
  EXPECT_TRUE(fs::exists(store.stage(old_key)));
  cache.trim(8'000);
  EXPECT_FALSE(fs::exists(store.stage(old_key)));
  EXPECT_TRUE(fs::exists(store.stage(new_key)));
}

// The sample plan's first stage, with a context of two files.
struct StageKeyTest : testing::Test {
  TempDir volume = std::move(*TempDir::create("imagebuild-stage-key-test-"));
  api::Plan plan = sample_plan();
  archive::TreeIndex index;

  void SetUp() override {
    fs::create_directories(volume.path() / api::volume::kContextFolder);
    put_file("main.c", "int main;");
    put_file("README", "read me");
  }
  void put_file(const std::string& path, const std::string& content, std::uint32_t mode = 0644, std::int64_t time = 0) {
    ASSERT_TRUE(write_file_atomically(volume.path() / api::volume::kContextFolder / path, content).ok());
    archive::Node node;
    node.path = path;
    node.mode = mode;
    node.size_bytes = content.size();
    node.mtime_s = time;
    index.put(node);
    ASSERT_TRUE(index.save(volume.path() / api::volume::kContextIndex).ok());
  }
  oci::Digest key(int stage = 0) {
    StageKeyInputs inputs;
    inputs.volume = volume.path();
    inputs.reports.resize(plan.stages.size());
    inputs.builder = "builder";
    const auto result = stage_key(plan, stage, inputs);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? *result : oci::Digest::of("error");
  }
  api::PlanStage& stage() { return plan.stages[0]; }
  api::CopyStep& copy() { return std::get<api::CopyStep>(stage().steps[0].action); }
  api::RunStep& run() { return std::get<api::RunStep>(stage().steps[1].action); }
};

TEST_F(StageKeyTest, ChangesWithEverythingTheResultDependsOn) {
  const std::vector<std::pair<const char*, std::function<void()>>> changes = {
      {"a file's content", [&] { put_file("main.c", "int m4in;"); }},
      {"a file's mode", [&] { put_file("main.c", "int main;", 0755); }},
      {"another file", [&] { put_file("extra", ""); }},
      {"the base", [&] { plan.images[0].digest = "sha256:" + std::string(64, 'c'); }},
      {"the command",
       [&] {
         run().argv = {"make", "all"};
       }},
      {"the environment", [&] { run().env = {"A=b"}; }},
      {"the user", [&] { run().user = "nobody"; }},
      {"the folder", [&] { run().working_dir = "/src"; }},
      {"a secret's name", [&] { run().secrets = {api::SecretMount{.id = "token"}}; }},
      {"the destination", [&] { copy().destination = "/elsewhere"; }},
      {"the owner", [&] { copy().owner = "1000"; }},
      {"what leaves the stage", [&] { stage().exports = {"src"}; }},
      {"whether layers are kept", [&] { stage().keep_layers = true; }},
      {"the platform", [&] { stage().platform = "linux/arm64"; }},
      {"the epoch", [&] { plan.epoch_s = 1; }},
      {"the mode", [&] { copy().mode = "u=rwX"; }},
      {"what is excluded", [&] { copy().exclude = {"*.md"}; }},
      {"whether folders are kept", [&] { copy().parents = true; }},
      {"whether the layer is linked", [&] { copy().link = true; }},
      {"a mount",
       [&] {
         run().mounts = {api::TmpfsMount{"/tmp", 0}};
       }},
      {"the network", [&] { run().network = api::Network::kNone; }},
      {"a host's name",
       [&] {
         plan.run.hosts = {{"db", "10.0.0.1"}};
       }},
      {"one step more", [&] { stage().steps.push_back(step_at(9, "RUN", api::RunStep{})); }},
  };
  for (const auto& [name, change] : changes) {
    const oci::Digest before = key();
    change();
    EXPECT_NE(key(), before) << name;
  }
}

TEST_F(StageKeyTest, IsTheSameWhateverDoesNotMatter) {
  const oci::Digest before = key();
  put_file("main.c", "int main;", 0644, 12345);
  stage().name = "renamed";
  stage().at.line = 99;
  stage().steps[1].at.line = 98;
  stage().steps[1].text = "RUN  make";
  stage().config.labels["a"] = "b";
  plan.stages[1].steps.clear();
  EXPECT_EQ(key(), before);
}

TEST_F(StageKeyTest, ReadsOnlyTheFilesThatAStageCopies) {
  copy().sources = {"*.c"};
  const oci::Digest before = key();
  put_file("README", "changed");
  EXPECT_EQ(key(), before);
  put_file("other.c", "");
  EXPECT_NE(key(), before);
}

TEST_F(StageKeyTest, DoesNotReadWhatACopyExcludes) {
  copy().exclude = {"README"};
  const oci::Digest before = key();
  put_file("README", "changed");
  EXPECT_EQ(key(), before);
  put_file("main.c", "changed");
  EXPECT_NE(key(), before);
}

TEST_F(StageKeyTest, ReadsOnlyWhatACopyWithParentsTakes) {
  copy().sources = {"**/*.c"};
  copy().parents = true;
  const oci::Digest before = key();
  put_file("README", "changed");
  EXPECT_EQ(key(), before);
  put_file("main.c", "changed");
  EXPECT_NE(key(), before);
}

TEST_F(StageKeyTest, ReadsWhatABindMountShows) {
  copy().sources = {"main.c"};
  run().mounts = {api::BindMount{api::FromContext{}, "README", "/r"}};
  const oci::Digest one_file = key();
  put_file("extra", "");
  EXPECT_EQ(key(), one_file);
  put_file("README", "changed");
  EXPECT_NE(key(), one_file);
  run().mounts = {api::BindMount{api::FromContext{}, "", "/src"}};
  const oci::Digest all = key();
  put_file("extra", "changed");
  EXPECT_NE(key(), all) << "the whole context counts";
}

TEST_F(StageKeyTest, ReadsWhatACacheBeginsWith) {
  copy().sources = {"main.c"};
  api::CacheMount cache{"go", "/cache"};
  cache.from = api::FromContext{};
  cache.source = "README";
  run().mounts = {cache};
  const oci::Digest before = key();
  put_file("README", "changed");
  EXPECT_NE(key(), before);
}

TEST_F(StageKeyTest, ReadsTreesWhateverTheirNumber) {
  const auto put_tree = [&](int number, const std::string& content) {
    fs::create_directories(volume.path() / "trees");
    archive::TreeIndex tree;
    archive::Node node;
    node.path = "file";
    node.size_bytes = content.size();
    node.data_offset = 0;
    tree.put(node);
    ASSERT_TRUE(tree.save(volume.path() / api::volume::tree_index(number)).ok());
    ASSERT_TRUE(write_file_atomically(volume.path() / api::volume::tree_tar(number), content).ok());
  };
  plan.trees.resize(2);
  plan.trees[0].origin = plan.trees[1].origin = api::HttpDownload{"http://x/file", ""};
  put_tree(0, "one");
  put_tree(1, "one");
  copy().sources.clear();
  copy().remotes = {api::RemoteSource{0, false}};
  const oci::Digest before = key();
  copy().remotes = {api::RemoteSource{1, false}};
  EXPECT_EQ(key(), before);
  put_tree(1, "two");
  EXPECT_NE(key(), before);
  put_tree(1, "one");
  copy().remotes = {api::RemoteSource{1, true}};
  EXPECT_NE(key(), before) << "unpacked";
  run().mounts = {api::BindMount{api::FromTree{0}, "", "/t"}};
  const oci::Digest mounted = key();
  put_tree(0, "two");
  EXPECT_NE(key(), mounted);
}

TEST_F(StageKeyTest, DependsOnTheLayersOfTheStageBelow) {
  plan.stages.push_back(stage_on("derived", 9, api::OnStage{0}));
  StageKeyInputs inputs;
  inputs.volume = volume.path();
  inputs.reports.resize(3);
  EXPECT_FALSE(stage_key(plan, 2, inputs).ok()) << "the stage below is not done";
  inputs.reports[0] = api::StageReport{};
  const oci::Digest before = *stage_key(plan, 2, inputs);
  inputs.reports[0]->layers = {api::LayerReport{.diff_id = "sha256:1"}};
  EXPECT_NE(*stage_key(plan, 2, inputs), before);
}

}  // namespace
}  // namespace imagebuild::cli
