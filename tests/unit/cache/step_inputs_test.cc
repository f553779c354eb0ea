#include "builder/cache/step_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "api/volume.h"
#include "archive/tar_writer.h"
#include "archive/tree_index.h"
#include "tests/unit/cache/kept_files.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using cli::sample_plan;
using cli::stage_on;
using cli::step_at;
using testing::Contains;
using testing::Field;

// The sample plan's first stage, with a context of two files.
class StepInputsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(places.volume / api::volume::kContextFolder);
    places.reports.resize(plan.stages.size());
    put_file("main.c", "int main;");
    put_file("README", "read me");
  }
  void put_file(const std::string& path, const std::string& content, std::uint32_t mode = 0644, std::int64_t time = 0) {
    put_text(places.volume / api::volume::kContextFolder / path, content);
    archive::Node node;
    node.path = path;
    node.mode = mode;
    node.size_bytes = content.size();
    node.mtime_s = time;
    put(node);
  }
  void put_link(const std::string& path, const std::string& target) {
    archive::Node node;
    node.path = path;
    node.type = archive::NodeType::kSymlink;
    node.link = target;
    put(node);
  }
  void put_folder(const std::string& path, std::uint32_t mode) {
    archive::Node node;
    node.path = path;
    node.type = archive::NodeType::kDirectory;
    node.mode = mode;
    put(node);
  }
  void put(const archive::Node& node) {
    index.put(node);
    ASSERT_TRUE(index.save(places.volume / api::volume::kContextIndex).ok());
  }
  build::StageInputs inputs(int stage = 0) {
    auto result = stage_inputs(plan, stage, places);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? std::move(*result) : build::StageInputs{};
  }
  // Of the whole stage.
  std::string key(int stage = 0) {
    const auto key = build::keys_of(inputs(stage)).stage;
    return key ? key->str() : "none";
  }
  api::PlanStage& stage() { return plan.stages[0]; }
  api::CopyStep& copy() { return std::get<api::CopyStep>(stage().steps[0].action); }
  api::RunStep& run() { return std::get<api::RunStep>(stage().steps[1].action); }

  TempDir volume = std::move(*TempDir::create("imagebuild-step-inputs-test-"));
  api::Plan plan = sample_plan();
  archive::TreeIndex index;
  InputPlaces places{volume.path(), {}, "builder", archive::Compression::kGzip};
};

using Change = std::pair<const char*, std::function<void()>>;

TEST_F(StepInputsTest, DifferWithEverythingTheResultDependsOn) {
  stage().keep_layers = true;
  const std::vector<Change> changes = {
      {"a file's content", [&] { put_file("main.c", "int m4in;"); }},
      {"a file's mode", [&] { put_file("main.c", "int main;", 0755); }},
      {"another file", [&] { put_file("extra", ""); }},
      {"a folder", [&] { put_folder("empty", 0755); }},
      {"a folder's mode", [&] { put_folder("empty", 0700); }},
      {"a link", [&] { put_link("link", "main.c"); }},
      {"where a link leads", [&] { put_link("link", "README"); }},
      {"a name of the same file",
       [&] {
         archive::Node node;
         node.path = "name";
         node.type = archive::NodeType::kHardlink;
         node.link = "main.c";
         put(node);
       }},
      {"a capability",
       [&] {
         archive::Node node = *index.find("main.c");
         node.xattrs["security.capability"] = "x";
         put(node);
       }},
      {"the base", [&] { plan.images[0].digest = "sha256:" + std::string(64, 'c'); }},
      {"the platform", [&] { stage().platform = "linux/arm64"; }},
      {"the platform's variant", [&] { stage().platform = "linux/arm64/v8"; }},
      {"the builder", [&] { places.builder = "another"; }},
      {"the compression of kept layers", [&] { places.compression = archive::Compression::kZstd; }},
      {"whether layers are kept", [&] { stage().keep_layers = false; }},
      {"that the epoch is given", [&] { plan.epoch_is_given = true; }},
      {"the given epoch", [&] { plan.epoch_s = 1; }},
      {"volumes", [&] { stage().config.volumes = {"/data"}; }},
      {"the command",
       [&] {
         run().argv = {"make", "all"};
       }},
      {"a script",
       [&] {
         run().script = api::InlineFile{"script", "#!/bin/sh\n"};
       }},
      {"a script's content", [&] { run().script->content += "true\n"; }},
      {"the environment", [&] { run().env = {"A=b"}; }},
      {"a variable's value", [&] { run().env = {"A=c"}; }},
      {"another variable",
       [&] {
         run().env = {"A=c", "B="};
       }},
      {"the order of variables",
       [&] {
         run().env = {"B=", "A=c"};
       }},
      {"the user", [&] { run().user = "nobody"; }},
      {"the working folder", [&] { run().working_dir = "/src"; }},
      {"a secret", [&] { run().secrets = {api::SecretMount{.id = "token"}}; }},
      {"a secret's variable", [&] { run().secrets[0].env = "TOKEN"; }},
      {"a secret's file", [&] { run().secrets[0].target = "/run/secrets/t"; }},
      {"a secret's mode", [&] { run().secrets[0].mode = 0444; }},
      {"the network", [&] { run().network = api::Network::kNone; }},
      {"a mount",
       [&] {
         run().mounts = {api::TmpfsMount{"/tmp", 0}};
       }},
      {"a mount's size",
       [&] {
         run().mounts = {api::TmpfsMount{"/tmp", 1}};
       }},
      {"an agent", [&] { run().mounts = {api::SshMount{.id = "default", .target = "/s"}}; }},
      {"another agent", [&] { run().mounts = {api::SshMount{.id = "github", .target = "/s"}}; }},
      {"a cache",
       [&] {
         run().mounts = {api::CacheMount{"go", "/cache"}};
       }},
      {"a cache's id",
       [&] {
         run().mounts = {api::CacheMount{"rust", "/cache"}};
       }},
      {"a cache's sharing",
       [&] {
         run().mounts = {api::CacheMount{"rust", "/cache", api::CacheSharing::kLocked}};
       }},
      {"a host's name",
       [&] {
         plan.run.hosts = {{"db", "10.0.0.1"}};
       }},
      {"a host's address",
       [&] {
         plan.run.hosts = {{"db", "10.0.0.2"}};
       }},
      {"a limit",
       [&] {
         plan.run.ulimits = {{"nofile", 10, 20}};
       }},
      {"shared memory", [&] { plan.run.shm_bytes = 1; }},
      {"the destination", [&] { copy().destination = "/elsewhere"; }},
      {"whether it is a folder", [&] { copy().destination_is_folder = true; }},
      {"the owner", [&] { copy().owner = "app"; }},
      {"the mode", [&] { copy().mode = "u=rwX"; }},
      {"what is excluded", [&] { copy().exclude = {"*.md"}; }},
      {"whether folders are kept", [&] { copy().parents = true; }},
      {"whether the layer is linked", [&] { copy().link = true; }},
      {"whether archives are unpacked", [&] { copy().unpack_archives = true; }},
      {"a here-document",
       [&] {
         copy().inline_sources = {{"file", "text"}};
       }},
      {"a here-document's text", [&] { copy().inline_sources[0].content = "other"; }},
      {"a here-document's byte", [&] { copy().inline_sources[0].content = "\xe9"; }},
      {"a here-document's other byte", [&] { copy().inline_sources[0].content = "\xe8"; }},
      {"a here-document's name", [&] { copy().inline_sources[0].name = "another"; }},
      {"one step more", [&] { stage().steps.push_back(step_at(9, "RUN", api::RunStep{})); }},
      {"a folder to work in",
       [&] {
         stage().steps.push_back(step_at(9, "W", api::WorkdirStep{"/w", ""}));
       }},
      {"its owner",
       [&] {
         stage().steps.back() = step_at(9, "W", api::WorkdirStep{"/w", "app"});
       }},
      {"what leaves the stage", [&] { stage().exports = {"src"}; }},
  };
  std::set<std::string> seen = {key()};
  for (const auto& [name, change] : changes) {
    change();
    EXPECT_TRUE(seen.insert(key()).second) << name;
  }
}

TEST_F(StepInputsTest, AreTheSameWhateverDoesNotMatter) {
  stage().keep_layers = true;
  const std::vector<Change> changes = {
      {"a file's time", [&] { put_file("main.c", "int main;", 0644, 12345); }},
      {"a context file's owner",
       [&] {
         archive::Node node = *index.find("main.c");
         node.uid = node.gid = 1000;
         put(node);
       }},
      {"the stage's name", [&] { stage().name = "renamed"; }},
      {"the name of the base", [&] { plan.images[0].name = "gcc:latest"; }},
      {"places", [&] { stage().at.line = stage().steps[1].at.line = 99; }},
      {"texts", [&] { stage().steps[1].text = stage().steps[1].created_by = "RUN  make"; }},
      {"labels", [&] { stage().config.labels["a"] = "b"; }},
      {"the command of the image", [&] { stage().config.cmd = {"/app"}; }},
      {"the author", [&] { stage().author = "x"; }},
      {"a step that changes no files",
       [&] { stage().steps.insert(stage().steps.begin(), step_at(1, "LABEL", api::MetadataStep{})); }},
      {"another stage", [&] { plan.stages[1].steps.clear(); }},
      {"the time of the source's commit", [&] { plan.epoch_s = 7; }},
      {"layers for a cache", [&] { stage().cache_layers = true; }},
  };
  const std::string before = key();
  for (const auto& [name, change] : changes) {
    change();
    EXPECT_EQ(key(), before) << name;
  }
}

TEST_F(StepInputsTest, DoNotSayHowLayersAreCompressedThatNoImageHas) {
  const std::string before = key();
  places.compression = archive::Compression::kZstd;
  EXPECT_EQ(key(), before);
}

TEST_F(StepInputsTest, TellLayersOfAnImageFromThoseOfACache) {
  stage().cache_layers = true;
  const auto cached = build::keys_of(inputs());
  stage().cache_layers = false;
  stage().keep_layers = true;
  EXPECT_NE(build::keys_of(inputs()).steps[0].key, cached.steps[0].key);
}

TEST_F(StepInputsTest, CountOnlyStepsThatChangeFiles) {
  const auto before = inputs();
  ASSERT_EQ(before.steps.size(), 2U);
  stage().steps.insert(stage().steps.begin(), step_at(1, "LABEL", api::MetadataStep{}));
  const auto now = inputs();
  ASSERT_EQ(now.steps.size(), 2U);
  EXPECT_EQ(now.steps[0].step, before.steps[0].step + 1);
  EXPECT_EQ(now.steps[0].inputs, before.steps[0].inputs);
}

TEST_F(StepInputsTest, NeverHaveASecretsContentNorPlainValues) {
  run().env = {"TOKEN=hush"};
  for (const build::StepInputs& step : inputs().steps) {
    for (const build::KeyInput& input : step.inputs) {
      EXPECT_EQ(input.value.find("hush"), std::string::npos);
      EXPECT_EQ(input.name.find("hush"), std::string::npos);
    }
  }
}

TEST_F(StepInputsTest, NameWhatChanged) {
  const auto before = inputs();
  put_file("main.c", "changed");
  EXPECT_EQ(build::first_change(before, inputs())->what, "main.c changed");
  EXPECT_EQ(build::first_change(before, inputs())->step, 0);
}

struct Selection {
  const char* name;
  std::function<void(api::CopyStep&)> set;
  std::vector<const char*> read;
  std::vector<const char*> not_read;
};
void PrintTo(const Selection& row, std::ostream* out) {
  *out << row.name;
}

class WhatACopyReads : public StepInputsTest, public testing::WithParamInterface<Selection> {};

TEST_P(WhatACopyReads, Counts) {
  for (const char* path : {"main.c", "README", "sub/one.c", "sub/two.h", "other/one.c"}) put_file(path, "1");
  put_link("link.c", "other/one.c");
  put_folder("sub", 0755);
  put_folder("other", 0755);
  GetParam().set(copy());
  for (const char* path : GetParam().not_read) {
    const std::string before = key();
    put_file(path, "2");
    EXPECT_EQ(key(), before) << path;
  }
  for (const char* path : GetParam().read) {
    const std::string before = key();
    put_file(path, "3");
    EXPECT_NE(key(), before) << path;
  }
}

using Paths = std::vector<const char*>;
INSTANTIATE_TEST_SUITE_P(
    Sources, WhatACopyReads,
    testing::Values(
        Selection{"All", [](api::CopyStep&) {}, Paths{"main.c", "sub/two.h", "new"}, Paths{}},
        Selection{"OneFile", [](api::CopyStep& it) { it.sources = {"main.c"}; }, Paths{"main.c"},
                  Paths{"README", "main.cc", "sub/one.c"}},
        Selection{"AFolder", [](api::CopyStep& it) { it.sources = {"sub"}; }, Paths{"sub/one.c", "sub/new"},
                  Paths{"main.c", "subs/one.c"}},
        Selection{"AWildcard", [](api::CopyStep& it) { it.sources = {"*.c"}; }, Paths{"main.c", "new.c", "other/one.c"},
                  Paths{"README", "sub/one.c"}},
        Selection{"AWildcardForFolders", [](api::CopyStep& it) { it.sources = {"*/one.c"}; },
                  Paths{"sub/one.c", "other/one.c"}, Paths{"sub/two.h", "main.c"}},
        Selection{"ALink", [](api::CopyStep& it) { it.sources = {"link.c"}; }, Paths{"other/one.c"}, Paths{"main.c"}},
        Selection{"AllButSome",
                  [](api::CopyStep& it) {
                    it.exclude = {"README", "sub"};
                  },
                  Paths{"main.c"}, Paths{"README", "sub/one.c"}},
        Selection{"WithParents",
                  [](api::CopyStep& it) {
                    it.sources = {"**/*.c"};
                    it.parents = true;
                  },
                  Paths{"main.c", "sub/one.c"}, Paths{"README", "sub/two.h"}},
        Selection{"Nothing", [](api::CopyStep& it) { it.sources.clear(); }, Paths{}, Paths{"main.c", "new"}}),
    [](const auto& row) { return row.param.name; });

TEST_F(StepInputsTest, ReadTheLinksOnTheWay) {
  put_file("one/x", "same");
  put_file("two/x", "same");
  put_link("way", "one");
  copy().sources = {"way/x"};
  const std::string before = key();
  put_link("way", "two");
  EXPECT_NE(key(), before);
}

TEST_F(StepInputsTest, ReadWhatABindMountShows) {
  copy().sources = {"main.c"};
  run().mounts = {api::BindMount{api::FromContext{}, "README", "/r"}};
  const std::string one_file = key();
  put_file("extra", "");
  EXPECT_EQ(key(), one_file);
  put_file("README", "changed");
  EXPECT_NE(key(), one_file);
  run().mounts = {api::BindMount{api::FromContext{}, "", "/src"}};
  const std::string all = key();
  put_file("extra", "changed");
  EXPECT_NE(key(), all) << "the whole context counts";
}

TEST_F(StepInputsTest, ReadTheModeOfAMountedFolderItself) {
  copy().sources = {"main.c"};
  put_folder("data", 0755);
  run().mounts = {api::BindMount{api::FromContext{}, "data", "/d"}};
  const std::string mounted = key();
  put_folder("data", 0700);
  EXPECT_NE(key(), mounted);
  run().mounts.clear();
  copy().sources = {"data"};
  const std::string copied = key();
  put_folder("data", 0755);
  EXPECT_EQ(key(), copied) << "a COPY takes what is in the folder";
}

TEST_F(StepInputsTest, ReadWhatACacheBeginsWith) {
  copy().sources = {"main.c"};
  api::CacheMount cache{"go", "/cache"};
  cache.from = api::FromContext{};
  cache.source = "README";
  run().mounts = {cache};
  const std::string before = key();
  put_file("README", "changed");
  EXPECT_NE(key(), before);
}

TEST_F(StepInputsTest, ReadTreesWhateverTheirNumber) {
  const auto put_tree = [&](int number, const std::string& content, const std::string& name = "file") {
    archive::TreeIndex tree;
    archive::Node node;
    node.path = name;
    node.size_bytes = content.size();
    node.data_offset = 0;
    tree.put(node);
    put_text(places.volume / api::volume::tree_tar(number), content);
    ASSERT_TRUE(tree.save(places.volume / api::volume::tree_index(number)).ok());
  };
  plan.trees.resize(2);
  plan.trees[0].origin = plan.trees[1].origin = api::HttpDownload{"http://x/file", ""};
  put_tree(0, "one");
  put_tree(1, "one");
  copy().sources.clear();
  copy().remotes = {api::RemoteSource{0, false}};
  const std::string before = key();
  copy().remotes = {api::RemoteSource{1, false}};
  EXPECT_EQ(key(), before);
  plan.trees[1].origin = api::HttpDownload{"http://mirror/file", "sha256:" + std::string(64, '1')};
  EXPECT_EQ(key(), before) << "only what came counts";
  put_tree(1, "two");
  EXPECT_NE(key(), before);
  put_tree(1, "one", "name");
  EXPECT_NE(key(), before);
  put_tree(1, "one");
  copy().remotes = {api::RemoteSource{1, true}};
  EXPECT_NE(key(), before) << "unpacked";
  run().mounts = {api::BindMount{api::FromTree{0}, "", "/t"}};
  const std::string mounted = key();
  put_tree(0, "two");
  EXPECT_NE(key(), mounted);
}

// The second stage of the sample plan, which copies from the first.
class StageOnExports : public StepInputsTest {
 protected:
  void put_export(const std::string& path, const std::string& content, std::uint32_t uid = 0) {
    archive::TreeIndex exported;
    archive::Node node;
    node.path = path;
    node.uid = uid;
    node.size_bytes = content.size();
    node.data_offset = 0;
    exported.put(node);
    const fs::path folder = places.volume / api::volume::stage_folder(0);
    put_text(folder / api::volume::kExportTar, content);
    ASSERT_TRUE(exported.save(folder / api::volume::kExportIndex).ok());
    places.reports[0] = api::StageReport{};
  }
};

TEST_F(StageOnExports, IsNotKnownBeforeTheyAre) {
  EXPECT_FALSE(inputs(1).is_complete);
  EXPECT_TRUE(inputs(1).steps.empty());
  EXPECT_EQ(key(1), "none");
  plan.stages[1].steps.insert(plan.stages[1].steps.begin(), step_at(6, "W", api::WorkdirStep{"/w", ""}));
  EXPECT_EQ(inputs(1).steps.size(), 1U) << "what comes before is known";
}

TEST_F(StageOnExports, DependsOnTheirContentAlone) {
  put_export("src/app", "app");
  const std::string before = key(1);
  places.reports[0]->layers = {api::LayerReport{.diff_id = "sha256:1"}};
  places.reports[0]->root_bytes = 12;
  run().argv = {"make", "again"};
  EXPECT_EQ(key(1), before) << "another way to the same files";
  put_export("src/app", "another app");
  EXPECT_NE(key(1), before);
  put_export("src/app", "app", 1000);
  EXPECT_NE(key(1), before) << "a stage's files keep their owners";
  put_export("src/unused", "app");
  EXPECT_NE(key(1), before) << "gone";
}

TEST_F(StepInputsTest, DependOnTheLayersOfTheStageBelow) {
  plan.stages.push_back(stage_on("derived", 9, api::OnStage{0}));
  places.reports.resize(3);
  EXPECT_EQ(key(2), "none") << "the stage below is not done";
  places.reports[0] = api::StageReport{};
  const std::string before = key(2);
  stage().name = "renamed";
  EXPECT_EQ(key(2), before);
  places.reports[0]->layers = {api::LayerReport{.diff_id = "sha256:1"}};
  EXPECT_NE(key(2), before);
  const std::string with_layer = key(2);
  stage().config.volumes = {"/data"};
  EXPECT_NE(key(2), with_layer);
}

TEST_F(StepInputsTest, AreAnErrorWhereAFileCannotBeRead) {
  fs::remove(places.volume / api::volume::kContextFolder / "main.c");
  EXPECT_FALSE(stage_inputs(plan, 0, places).ok());
}

TEST(BuilderIdentity, IsTheProgramsContent) {
  const TempDir folder = std::move(*TempDir::create("imagebuild-builder-identity-test-"));
  put_text(folder.path() / "a", "program");
  put_text(folder.path() / "b", "program");
  put_text(folder.path() / "c", "another");
  EXPECT_EQ(*builder_identity(folder.path() / "a"), *builder_identity(folder.path() / "b"));
  EXPECT_NE(*builder_identity(folder.path() / "a"), *builder_identity(folder.path() / "c"));
  EXPECT_EQ(builder_identity(folder.path() / "d").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace imagebuild::builder
