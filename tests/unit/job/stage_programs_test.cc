#include "builder/job/stage_programs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "api/volume.h"
#include "base/file.h"
#include "oci/platform.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;

// An architecture that this machine has not.
std::string other() {
  return oci::Platform::host().architecture() == "arm64" ? "amd64" : "arm64";
}

class StageProgramsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto temp = TempDir::create("imagebuild-test-");
    ASSERT_TRUE(temp.ok());
    temp_.emplace(std::move(*temp));
    write("imagebuild-stage", "own");
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(temp_->path() / name) << text; }
  Status put(bool foreign_needs_container) const {
    api::Plan plan;
    plan.stages = {api::PlanStage{.name = "build", .platform = oci::Platform::host().str(), .needs_container = true},
                   api::PlanStage{.name = "app", .platform = "linux/" + other()}};
    plan.stages[1].needs_container = foreign_needs_container;
    return put_stage_programs(temp_->path() / "imagebuild-stage", plan, volume());
  }
  fs::path volume() const { return temp_->path() / "volume"; }
  std::string text_of(const std::string& architecture) const {
    const Result<std::string> text = read_file(volume() / api::volume::stage_program(architecture), 100);
    return text.ok() ? *text : "none";
  }

  std::optional<TempDir> temp_;
};

TEST_F(StageProgramsTest, AreThoseOfContainersOnly) {
  ASSERT_TRUE(put(false).ok());
  EXPECT_EQ(text_of(oci::Platform::host().architecture()), "own");
  EXPECT_EQ(text_of(other()), "none");
  const fs::perms mode =
      fs::status(volume() / api::volume::stage_program(oci::Platform::host().architecture())).permissions();
  EXPECT_EQ(mode, static_cast<fs::perms>(0755));
}

TEST_F(StageProgramsTest, LieBesideTheOwnOne) {
  write("imagebuild-stage-" + other(), "other");
  ASSERT_TRUE(put(true).ok());
  EXPECT_EQ(text_of(other()), "other");
}

TEST_F(StageProgramsTest, ThatAreMissingAreNamed) {
  const Status status = put(true);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(status.error().message.find("the builder image has no imagebuild-stage-" + other()), std::string::npos);
  EXPECT_NE(status.error().message.find("stage 'app'"), std::string::npos);
}

}  // namespace
}  // namespace imagebuild::builder
