#include <functional>
#include <set>

#include "tests/unit/cache/step_inputs_fixture.h"

namespace imagebuild::builder {
namespace {

using cli::stage_on;
using cli::step_at;

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
      {"a proxy that the stage declares",
       [&] {
         run().env = {"B=", "HTTP_PROXY=http://one"};
         stage().steps[1].created_by = "RUN |1 HTTP_PROXY=http://one make";
       }},
      {"another proxy, declared",
       [&] {
         run().env = {"B=", "HTTP_PROXY=http://two"};
         stage().steps[1].created_by = "RUN |1 HTTP_PROXY=http://two make";
       }},
      {"a proxy that the image has",
       [&] {
         run().env = {"B=", "NO_PROXY=one"};
         stage().config.env = {"NO_PROXY=one"};
       }},
      {"another proxy of the image",
       [&] {
         run().env = {"B=", "NO_PROXY=two"};
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
      {"a proxy of the build",
       [&] {
         run().env = {"HTTP_PROXY=http://one", "http_proxy=http://one"};
       }},
      {"another proxy of the build",
       [&] {
         run().env = {"HTTP_PROXY=http://two", "all_proxy=http://two"};
       }},
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
    const std::filesystem::path folder = places.volume / api::volume::stage_folder(0);
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
