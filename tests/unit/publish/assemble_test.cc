#include <gtest/gtest.h>

#include "builder/publish/publish.h"

namespace imagebuild::builder {
namespace {

namespace media_type = oci::media_type;

oci::Descriptor layer(const std::string& content, std::string_view type) {
  return oci::Descriptor{std::string(type), oci::Digest::of(content), content.size(), {}, {}};
}

api::LayerReport layer_report(int step, const std::string& content) {
  return api::LayerReport{step,
                          "layers/" + std::to_string(step) + ".tar.gz",
                          std::string(media_type::kOciLayerGzip),
                          oci::Digest::of("diff of " + content).str(),
                          oci::Digest::of(content).str(),
                          content.size(),
                          100};
}

// An image of one layer made by two history entries, as Docker would have it.
api::BaseImage base_image(std::vector<oci::History> history) {
  oci::ImageConfig config;
  config.created = "2020-01-01T00:00:00Z";
  config.author = "base author";
  config.diff_ids = {oci::Digest::of("base diff")};
  config.history = std::move(history);
  oci::Manifest manifest{std::string(media_type::kDockerManifest),
                         layer(config.json(), media_type::kDockerConfig),
                         {layer("base layer", media_type::kDockerLayerGzip)},
                         {}};
  return api::BaseImage{"base", "reg.example/base:1@" + oci::Digest::of(manifest.json()).str(),
                        oci::Digest::of(manifest.json()).str(), manifest.json(), config.json()};
}

api::Step step(const std::string& text) {
  return api::Step{{1, 1}, text, text, api::MetadataStep{}};
}

// base ← parent (a RUN with a layer) ← target (ENV without, COPY with one).
api::Plan plan_on_base(std::vector<oci::History> history) {
  api::Plan plan;
  plan.epoch_s = 1'000'000'000;
  plan.images = {base_image(std::move(history))};
  api::PlanStage parent;
  parent.name = "parent";
  parent.platform = "linux/amd64";
  parent.base = api::OnImage{0};
  parent.steps = {step("RUN a")};
  api::PlanStage target;
  target.name = "target";
  target.platform = "linux/amd64";
  target.base = api::OnStage{0};
  target.steps = {step("ENV b"), step("COPY c d")};
  target.config.env = {"b=1"};
  target.author = "me";
  plan.stages = {parent, target};
  plan.target = 1;
  return plan;
}

std::vector<api::StageReport> reports() {
  api::StageReport parent{"parent", {layer_report(0, "run")}};
  api::StageReport target{"target", {layer_report(1, "copy")}};
  return {parent, target};
}

const std::vector<oci::History> kDockerHistory = {{.created_by = "ADD rootfs"},
                                                  {.created_by = "CMD sh", .empty_layer = true}};

TEST(Assemble, StacksTheBaseItsStagesAndTheTarget) {
  const auto image = assemble(plan_on_base(kDockerHistory), reports());
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ(image->manifest.layers.size(), 3U);
  EXPECT_EQ(image->manifest.layers[0].media_type, media_type::kOciLayerGzip);
  EXPECT_EQ(image->layers[0].original.media_type, media_type::kDockerLayerGzip);
  EXPECT_EQ(image->layers[0].file, "");
  EXPECT_EQ(image->layers[1].file, "stages/0/layers/0.tar.gz");
  EXPECT_EQ(image->layers[2].file, "stages/1/layers/1.tar.gz");
  EXPECT_EQ(image->base_bytes, std::string("base layer").size());
  EXPECT_EQ(image->new_bytes, std::string("run").size() + std::string("copy").size());

  const auto config = oci::ImageConfig::parse(image->config_json);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->diff_ids, (std::vector<oci::Digest>{oci::Digest::of("base diff"), oci::Digest::of("diff of run"),
                                                        oci::Digest::of("diff of copy")}));
  EXPECT_EQ(config->created, "2001-09-09T01:46:40Z");
  EXPECT_EQ(config->author, "me");
  EXPECT_EQ(config->config.env, (std::vector<std::string>{"b=1"}));
  std::vector<std::pair<std::string, bool>> history;
  for (const oci::History& entry : config->history) history.emplace_back(entry.created_by, entry.empty_layer);
  EXPECT_EQ(history,
            (std::vector<std::pair<std::string, bool>>{
                {"ADD rootfs", false}, {"CMD sh", true}, {"RUN a", false}, {"ENV b", true}, {"COPY c d", false}}));
}

TEST(Assemble, GivesEveryBaseLayerAHistoryEntry) {
  for (const std::vector<oci::History>& history :
       {std::vector<oci::History>{}, std::vector<oci::History>{{.created_by = "x", .empty_layer = true}},
        std::vector<oci::History>(3, oci::History{.created_by = "too many"})}) {
    const auto image = assemble(plan_on_base(history), reports());
    ASSERT_TRUE(image.ok()) << image.error().message;
    const auto config = oci::ImageConfig::parse(image->config_json);
    ASSERT_TRUE(config.ok()) << config.error().message;
    std::size_t described = 0;
    for (const oci::History& entry : config->history) described += entry.empty_layer ? 0 : 1;
    EXPECT_EQ(described, config->diff_ids.size());
  }
}

TEST(Assemble, DescribesExactlyTheBytesItReturns) {
  const auto image = assemble(plan_on_base(kDockerHistory), reports());
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->descriptor.digest, oci::Digest::of(image->manifest_json));
  EXPECT_EQ(image->descriptor.size_bytes, image->manifest_json.size());
  EXPECT_EQ(image->manifest.config.digest, oci::Digest::of(image->config_json));
}

TEST(Assemble, MakesAnImageOfScratchWithoutLayers) {
  api::Plan plan = plan_on_base({});
  plan.stages = {plan.stages[1]};
  plan.stages[0].base = api::Scratch{};
  plan.stages[0].steps = {step("ENV b")};
  plan.target = 0;
  const auto image = assemble(plan, {api::StageReport{"target"}});
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_TRUE(image->manifest.layers.empty());
}

TEST(Assemble, RefusesALayerOfAStepThatIsNotThere) {
  std::vector<api::StageReport> wrong = reports();
  wrong[1].layers.push_back(layer_report(7, "ghost"));
  const auto image = assemble(plan_on_base(kDockerHistory), wrong);
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace imagebuild::builder
