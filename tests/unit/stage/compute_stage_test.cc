// Stages without a container, from a volume on disk to the report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <utility>

#include "api/volume.h"
#include "archive/tar_reader.h"
#include "base/file.h"
#include "builder/stage/layer_file.h"
#include "builder/stage/live_root.h"
#include "builder/stage/stage.h"
#include "trees.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ComputeStage : public ::testing::Test {
 protected:
  void SetUp() override {
    plan_.dockerfile = "Dockerfile";
    plan_.epoch_s = 2000;
    fs::create_directories(volume_.path() / "context/folder");
    fs::create_directories(volume_.path() / "bases");
  }
  void add_context(const std::vector<std::string>& lines) {
    testing::MemoryTree tree(lines);
    archive::TreeIndex index;  // Without content: that is in the folder.
    for (auto [path, node] : tree.index().nodes()) {
      const fs::path file = volume_.path() / "context/folder" / path;
      if (node.type == archive::NodeType::kDirectory) fs::create_directories(file);
      if (node.type == archive::NodeType::kFile) std::ofstream(file) << node.content.value_or("");
      node.content.reset();
      index.put(std::move(node));
    }
    ASSERT_TRUE(index.save(volume_.path() / api::volume::kContextIndex).ok());
  }
  void add_base(const std::vector<std::string>& lines) {
    api::BaseImage image;
    image.name = "base";
    plan_.images = {image};
    ASSERT_TRUE(testing::MemoryTree(lines).index().save(volume_.path() / api::volume::base_index(0)).ok());
  }
  api::PlanStage& add_stage(const std::string& name, api::StageBase base) {
    api::PlanStage stage;
    stage.name = name;
    stage.base = base;
    stage.keep_layers = true;
    plan_.stages.push_back(stage);
    return plan_.stages.back();
  }
  static api::Step copy(const std::string& source, const std::string& destination, bool folder = false) {
    api::CopyStep copy;
    copy.from = api::FromContext{};
    copy.sources = {source};
    copy.destination = destination;
    copy.destination_is_folder = folder;
    return {{3, 1}, "COPY", "COPY", copy};
  }
  Result<api::StageReport> run(int stage) {
    StageJob job;
    job.volume = volume_.path();
    job.stage = stage;
    job.threads = threads_;
    job.compression = compression_;
    job.on_event = [this](const api::StageEvent& event) {
      events_.push_back(event);
      if (on_first_event_) std::exchange(on_first_event_, nullptr)();
    };
    return compute_stage(plan_, job, {});
  }
  std::vector<std::string> layer(int stage, const api::LayerReport& layer) {
    std::vector<std::string> lines;
    auto tar = open_layer_file(volume_.path() / api::volume::stage_folder(stage), layer);
    if (!tar.ok()) return {tar.error().message};
    auto reader = archive::TarReader::open(**tar);
    while (true) {
      auto node = reader->next();
      if (!node.ok()) return {node.error().message};
      if (!*node) return lines;
      lines.push_back((*node)->path + " " + std::to_string((*node)->mtime_s));
    }
  }
  TempDir volume_ = *TempDir::create("volume-");
  api::Plan plan_;
  unsigned threads_ = 1;
  archive::Compression compression_ = archive::Compression::kGzip;
  std::vector<api::StageEvent> events_;
  std::function<void()> on_first_event_;
};

TEST_F(ComputeStage, WritesLayersThatHonourTheBasesLinks) {
  add_base({"usr/", "usr/lib/ 0755", "lib ->usr/lib"});
  add_context({"x =content"});
  add_stage("app", api::OnImage{0}).steps = {copy("x", "/lib", true), {{4, 1}, "ENV", "ENV", api::MetadataStep{}}};
  const auto report = run(0);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->failure) << report->failure->message;
  ASSERT_EQ(report->layers.size(), 1U);
  EXPECT_THAT(layer(0, report->layers[0]), ElementsAre("usr 1000", "usr/lib 1000", "usr/lib/x 1000"));
  EXPECT_EQ(report->layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
  EXPECT_EQ(events_.size(), 5U);
  EXPECT_EQ(report->root_bytes, 7U);
}

TEST_F(ComputeStage, ClampsTimesToTheEpoch) {
  plan_.epoch_s = 500;
  add_context({"x =content"});
  add_stage("app", api::Scratch{}).steps = {copy("x", "/d/x")};
  const auto report = run(0);
  ASSERT_TRUE(report.ok() && !report->failure);
  EXPECT_THAT(layer(0, report->layers.at(0)), ElementsAre("d 500", "d/x 500"));
}

TEST_F(ComputeStage, GivesTheSameBytesForAnyNumberOfThreads) {
  std::vector<std::string> digests;
  add_context({"x =content"});
  std::ofstream(volume_.path() / "context/folder/big") << std::string(5'000'000, 'b') << std::string(3'000'000, 'c');
  auto index = *archive::TreeIndex::load(volume_.path() / api::volume::kContextIndex);
  archive::Node big;
  big.path = "big";
  big.size_bytes = 8'000'000;
  index.put(big);
  ASSERT_TRUE(index.save(volume_.path() / api::volume::kContextIndex).ok());
  add_stage("app", api::Scratch{}).steps = {copy("", "/")};
  for (const auto kind : {archive::Compression::kGzip, archive::Compression::kZstd}) {
    compression_ = kind;
    digests.clear();
    for (threads_ = 1; threads_ < 4; ++threads_) {
      const auto report = run(0);
      ASSERT_TRUE(report.ok() && !report->failure);
      digests.push_back(report->layers.at(0).digest);
    }
    EXPECT_EQ(digests[0], digests[1]);
    EXPECT_EQ(digests[0], digests[2]);
  }
}

TEST_F(ComputeStage, BuildsOnTheLayersOfItsParentsAndExportsFromThem) {
  add_context({"x =content", "y =why", "z =zed"});
  api::PlanStage& parent = add_stage("parent", api::Scratch{});
  parent.steps = {copy("y", "/d/y"), copy("x", "/d/x")};
  api::PlanStage& child = add_stage("child", api::OnStage{0});
  child.steps = {copy("z", "/d/y")};
  child.exports = {"d"};
  child.keep_layers = false;
  ASSERT_FALSE(run(0)->failure);
  const auto report = run(1);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(report->failure) << report->failure->message;
  EXPECT_TRUE(report->layers.empty());
  EXPECT_EQ(report->export_bytes, 10U);
  EXPECT_EQ(report->root_bytes, 10U);
}

TEST_F(ComputeStage, ReportsTheUsersMistakeWithItsLine) {
  add_context({"main.c =x"});
  add_stage("app", api::Scratch{}).steps = {copy("man.c", "/x")};
  const auto report = run(0);
  ASSERT_TRUE(report.ok());
  ASSERT_TRUE(report->failure);
  EXPECT_EQ(report->failure->at.line, 3);
  EXPECT_EQ(report->failure->step, 0);
  EXPECT_EQ(report->failure->code, "NotFound");
  EXPECT_THAT(report->failure->message, HasSubstr("did you mean 'main.c'?"));
  const auto text = read_file(volume_.path() / "stages/0/report.json", 1U << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*api::StageReport::parse(*text), *report);
}

TEST_F(ComputeStage, SaysThatAFileChangedWhileItWasRead) {
  add_context({"x =content"});
  std::ofstream(volume_.path() / "context/folder/x") << "longer content";
  add_stage("app", api::Scratch{}).steps = {copy("x", "/x")};
  const auto report = run(0);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->failure);
  EXPECT_EQ(report->failure->code, "InvalidInput");
  EXPECT_FALSE(fs::exists(volume_.path() / "stages/0/layers/0.tar.gz"));
}

TEST_F(ComputeStage, SaysWhichLayerFilledTheDisk) {
  add_context({"x =content"});
  add_stage("app", api::Scratch{}).steps = {copy("x", "/x")};
  // An attempt begins with an empty folder: the layer's place is taken while the stage runs.
  on_first_event_ = [this] { fs::create_symlink("/dev/full", volume_.path() / "stages/0/layers/0.tar.gz"); };
  const auto report = run(0);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->failure);
  EXPECT_EQ(report->failure->code, "Exhausted");
  EXPECT_THAT(report->failure->message, HasSubstr("the disk is full: writing the layer of step 1"));
}

TEST_F(ComputeStage, DoesNotTrustAParentsReport) {
  add_context({"x =content"});
  add_stage("parent", api::Scratch{}).steps = {copy("x", "/x")};
  add_stage("child", api::OnStage{0}).steps = {copy("x", "/y")};
  auto report = *run(0);
  struct Row {
    const char* name;
    std::function<void(api::LayerReport&)> forge;
  };
  const std::vector<Row> rows = {
      {"another file", [](api::LayerReport& layer) { layer.file = "layers/../../../secrets/0"; }},
      {"another digest", [](api::LayerReport& layer) { layer.digest = "sha256:" + std::string(64, '0'); }},
      {"another DiffID", [](api::LayerReport& layer) { layer.diff_id = "sha256:" + std::string(64, '0'); }},
      {"another size", [](api::LayerReport& layer) { layer.size_bytes += 1; }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    api::StageReport forged = report;
    row.forge(forged.layers[0]);
    ASSERT_TRUE(write_file_atomically(volume_.path() / "stages/0/report.json", forged.json()).ok());
    const auto child = run(1);
    ASSERT_TRUE(child.ok());
    ASSERT_TRUE(child->failure);
    EXPECT_EQ(child->failure->code, "Corrupt");
  }
}

TEST_F(ComputeStage, StopsWhenAsked) {
  add_context({"x =content"});
  add_stage("app", api::Scratch{}).steps = {copy("x", "/x")};
  std::stop_source stop;
  stop.request_stop();
  StageJob job;
  job.volume = volume_.path();
  const auto report = compute_stage(plan_, job, stop.get_token());
  ASSERT_TRUE(report.ok() && report->failure);
  EXPECT_EQ(report->failure->code, "Cancelled");
}

}  // namespace
}  // namespace imagebuild::builder
