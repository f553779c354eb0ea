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
  plan.targets = {{1, "linux/amd64", ""}};
  return plan;
}

std::vector<api::StageReport> reports() {
  api::StageReport parent{"parent", {layer_report(0, "run")}};
  api::StageReport target{"target", {layer_report(1, "copy")}};
  return {parent, target};
}

// Whose one image for one platform is returned.
Result<PlatformImage> assemble_one(const api::Plan& plan, const std::vector<api::StageReport>& its_reports) {
  ASSIGN_OR_RETURN(std::vector<Published> images, assemble(plan, its_reports));
  EXPECT_EQ(images.size(), 1U);
  EXPECT_FALSE(images.front().is_index());
  EXPECT_EQ(images.front().descriptor.digest, images.front().platforms.front().descriptor.digest);
  return std::move(images.front().platforms.front());
}

const std::vector<oci::History> kDockerHistory = {{.created_by = "ADD rootfs"},
                                                  {.created_by = "CMD sh", .empty_layer = true}};

TEST(Assemble, StacksTheBaseItsStagesAndTheTarget) {
  const auto image = assemble_one(plan_on_base(kDockerHistory), reports());
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ(image->manifest.layers.size(), 3U);
  EXPECT_EQ(image->manifest.layers[0].media_type, media_type::kOciLayerGzip);
  EXPECT_EQ(image->layers[0].original.media_type, media_type::kDockerLayerGzip);
  EXPECT_EQ(image->layers[0].file, "");
  EXPECT_EQ(image->layers[1].file, "stages/0/layers/0.tar.gz");
  EXPECT_EQ(image->layers[2].file, "stages/1/layers/1.tar.gz");
  const auto published = assemble(plan_on_base(kDockerHistory), reports());
  EXPECT_EQ(published->front().base_bytes, std::string("base layer").size());
  EXPECT_EQ(published->front().new_bytes, std::string("run").size() + std::string("copy").size());
  EXPECT_EQ(published->front().layer_count(), 3U);
  EXPECT_EQ(published->front().size_bytes(),
            published->front().base_bytes + published->front().new_bytes + image->config_json.size());

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
    const auto image = assemble_one(plan_on_base(history), reports());
    ASSERT_TRUE(image.ok()) << image.error().message;
    const auto config = oci::ImageConfig::parse(image->config_json);
    ASSERT_TRUE(config.ok()) << config.error().message;
    std::size_t described = 0;
    for (const oci::History& entry : config->history) described += entry.empty_layer ? 0 : 1;
    EXPECT_EQ(described, config->diff_ids.size());
  }
}

TEST(Assemble, DescribesExactlyTheBytesItReturns) {
  const auto image = assemble_one(plan_on_base(kDockerHistory), reports());
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
  plan.targets = {{0, "linux/amd64", ""}};
  const auto image = assemble_one(plan, {api::StageReport{"target"}});
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_TRUE(image->manifest.layers.empty());
}

TEST(Assemble, RefusesALayerOfAStepThatIsNotThere) {
  std::vector<api::StageReport> wrong = reports();
  wrong[1].layers.push_back(layer_report(7, "ghost"));
  const auto image = assemble_one(plan_on_base(kDockerHistory), wrong);
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().code, ErrorCode::kCorrupt);
}

// The target for two platforms, the second with another layer, on one base.
api::Plan plan_for_two_platforms() {
  api::Plan plan = plan_on_base(kDockerHistory);
  api::PlanStage arm = plan.stages[1];
  arm.platform = "linux/arm/v7";
  plan.stages.push_back(arm);
  plan.targets = {{1, "linux/amd64", "app"}, {2, "linux/arm/v7", "app"}};
  return plan;
}

std::vector<api::StageReport> reports_for_two_platforms() {
  std::vector<api::StageReport> all = reports();
  all.push_back(api::StageReport{"arm", {layer_report(1, "arm copy")}});
  return all;
}

TEST(Assemble, MakesAnIndexOfSeveralPlatforms) {
  const auto images = assemble(plan_for_two_platforms(), reports_for_two_platforms(), {{"note", "x"}});
  ASSERT_TRUE(images.ok()) << images.error().message;
  ASSERT_EQ(images->size(), 1U);
  const Published& image = images->front();
  ASSERT_TRUE(image.is_index());
  const std::string manifests[] = {image.platforms[0].manifest_json, image.platforms[1].manifest_json};
  const auto entry = [](const std::string& manifest, const std::string& platform) {
    return R"({"digest":")" + oci::Digest::of(manifest).str() +
           R"(","mediaType":"application/vnd.oci.image.manifest.v1+json","platform":)" + platform + R"(,"size":)" +
           std::to_string(manifest.size()) + "}";
  };
  EXPECT_EQ(image.index_json, R"({"annotations":{"note":"x"},"manifests":[)" +
                                  entry(manifests[0], R"({"architecture":"amd64","os":"linux"})") + "," +
                                  entry(manifests[1], R"({"architecture":"arm","os":"linux","variant":"v7"})") +
                                  R"(],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2})");
  EXPECT_EQ(image.descriptor.digest, oci::Digest::of(image.index_json));
  EXPECT_EQ(image.descriptor.media_type, media_type::kOciIndex);
  EXPECT_EQ(oci::ImageConfig::parse(image.platforms[1].config_json)->platform.str(), "linux/arm/v7");
  EXPECT_EQ(image.platforms[1].manifest.annotations.at("note"), "x");
}

TEST(Assemble, CountsWhatPlatformsShareOnce) {
  const auto images = assemble(plan_for_two_platforms(), reports_for_two_platforms());
  ASSERT_TRUE(images.ok()) << images.error().message;
  const Published& image = images->front();
  EXPECT_EQ(image.base_bytes, std::string("base layer").size());
  EXPECT_EQ(image.new_bytes, std::string("run").size() + std::string("copy").size() + std::string("arm copy").size());
  EXPECT_EQ(image.layer_count(), 4U);
  EXPECT_EQ(image.size_bytes(), image.base_bytes + image.new_bytes + image.platforms[0].config_json.size() +
                                    image.platforms[1].config_json.size());
}

TEST(Assemble, MakesAnImageOfEachTarget) {
  api::Plan plan = plan_on_base(kDockerHistory);
  plan.targets = {{0, "linux/amd64", "parent"}, {1, "linux/amd64", "target"}};
  const auto images = assemble(plan, reports());
  ASSERT_TRUE(images.ok()) << images.error().message;
  ASSERT_EQ(images->size(), 2U);
  EXPECT_EQ((*images)[0].target, "parent");
  EXPECT_EQ((*images)[0].layer_count(), 2U);
  EXPECT_EQ((*images)[1].layer_count(), 3U);
  EXPECT_FALSE((*images)[0].is_index());
}

TEST(CheckOutputs, ADockerArchiveHoldsOneImageForOnePlatform) {
  const std::vector<Output> outputs = {{Output::Kind::kRegistry, {}}, {Output::Kind::kDockerArchive, "app.tar"}};
  EXPECT_TRUE(check_outputs(plan_on_base(kDockerHistory), outputs).ok());
  EXPECT_TRUE(check_outputs(plan_for_two_platforms(), {outputs.front()}).ok());
  const Status refused = check_outputs(plan_for_two_platforms(), outputs);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("type=oci-archive"), std::string::npos);
}

}  // namespace
}  // namespace imagebuild::builder
