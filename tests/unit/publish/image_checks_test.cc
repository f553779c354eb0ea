// What publishing finds in the images it puts together.
#include "builder/publish/image_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "base/file.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A stage that a RUN of apt-get is the first step of, and one on top of it that deletes what that left.
class ImageChecks : public ::testing::Test {
 protected:
  void SetUp() override {
    api::RunStep install;
    install.argv = {"/bin/sh", "-c", "apt-get update && apt-get install -y gcc"};
    api::RunStep remove;
    remove.argv = {"rm", "/usr/bin/gcc"};
    api::PlanStage base, target;
    base.name = "base";
    base.steps = {{{14, 1}, "RUN apt-get", "", install}};
    target.name = "app";
    target.base = api::OnStage{0};
    target.steps = {{{20, 1}, "ENV", "", api::MetadataStep{}}, {{21, 1}, "RUN rm", "", remove}};
    plan_.stages = {base, target};
    plan_.targets = {{1, "linux/amd64", ""}};
    reports_ = {{"base", {layer(0)}}, {"app", {layer(1)}}};
    reports_[1].root_bytes = 480'000'000;
    put(0, 0, {{"usr/bin/gcc", 412'000'000}});
    put(1, 1, {{"usr/bin/.wh.gcc", 0}});
  }
  static api::LayerReport layer(int step) {
    api::LayerReport report;
    report.step = step;
    return report;
  }
  void put(int stage, int step, const std::vector<std::pair<std::string, std::uint64_t>>& files) {
    archive::TreeIndex index;
    for (const auto& [path, size] : files) {
      archive::Node node;
      node.path = path;
      node.size_bytes = size;
      index.put(node);
    }
    const fs::path file = volume_.path() / api::volume::stage_folder(stage) / api::volume::layer_index(step);
    fs::create_directories(file.parent_path());
    ASSERT_TRUE(index.save(file).ok());
  }
  std::vector<std::string> found() {
    Published image{"", {}, {}, {"", oci::Digest::of(""), 0, {}, {}}};
    for (const api::PlanTarget& target : plan_.targets) {
      PlatformImage platform{.stage = target.stage,
                             .manifest = {"", {"", oci::Digest::of(""), 0, {}, {}}, {}, {}},
                             .descriptor = {"", oci::Digest::of(""), 0, {}, {}}};
      image.platforms.push_back(platform);
    }
    std::vector<std::string> lines;
    for (const api::Warning& warning : image_warnings(plan_, image, reports_, volume_.path())) {
      lines.push_back(std::to_string(warning.at.line) + " " + warning.rule);
      messages_ += warning.message + "\n";
    }
    return lines;
  }

  TempDir volume_ = *TempDir::create("publish-");
  api::Plan plan_;
  std::vector<api::StageReport> reports_;
  std::string messages_;
};

TEST_F(ImageChecks, LookAtTheLayersOfAllStagesBelowTheTarget) {
  EXPECT_THAT(found(), ElementsAre("14 BuildToolsInFinalStage", "21 DeletedInLaterLayer"));
  EXPECT_THAT(messages_, HasSubstr("412 MB of 480 MB come from apt-get in the final stage (line 14)"));
}

TEST_F(ImageChecks, SayOnceWhatSeveralPlatformsHave) {
  plan_.targets.push_back({1, "linux/arm64", ""});
  EXPECT_THAT(found(), ElementsAre("14 BuildToolsInFinalStage", "21 DeletedInLaterLayer"));
}

TEST_F(ImageChecks, HonourWhatTheDockerfileSkips) {
  plan_.skipped_rules = {{"BuildToolsInFinalStage", 14, 14}};
  EXPECT_THAT(found(), ElementsAre("21 DeletedInLaterLayer"));
}

TEST_F(ImageChecks, LeaveLayersAloneWhoseIndexIsMissing) {
  fs::remove_all(volume_.path() / api::volume::stage_folder(0));
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(ImageChecks, NamePrivateKeysOfReportsAlsoWithoutAnIndex) {
  fs::remove_all(volume_.path() / api::volume::stage_folder(0));
  reports_[0].layers[0].private_keys = {"etc/key"};
  EXPECT_THAT(found(), ElementsAre("14 SecretInImage"));
}

}  // namespace
}  // namespace imagebuild::builder
