#include "cli/foreign_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace imagebuild::cli {
namespace {

using testing::HasSubstr;

const oci::Platform kAmd64 = *oci::Platform::parse("linux/amd64");

// What Debian's qemu-user-static registers.
constexpr const char* kArm64Handler =
    "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\n"
    "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
constexpr const char* kS390xHandler =
    "enabled\ninterpreter /usr/bin/qemu-s390x\nflags: F\noffset 0\n"
    "magic 7f454c4602020100000000000000000000020016\nmask ffffffffffffff00fffffffffffffffffffeffff\n";

class ForeignStagesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto temp = TempDir::create("imagebuild-test-");
    ASSERT_TRUE(temp.ok());
    temp_.emplace(std::move(*temp));
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(temp_->path() / name) << text; }
  void replace(const std::string& name, std::string text, const std::string& from, const std::string& to) const {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write(name, text.replace(at, from.size(), to));
  }
  Status check(const std::string& platform, bool with_run = true, bool exports = false) const {
    api::Plan plan;
    plan.dockerfile = "Dockerfile";
    api::PlanStage stage{.name = "build", .at = {3, 1}, .platform = platform};
    stage.steps = {api::Step{{4, 1}, "COPY a b", "", api::CopyStep{}}};
    if (with_run) stage.steps.push_back(api::Step{{5, 1}, "RUN x", "", api::RunStep{}});
    if (exports) stage.exports = {"x"};
    stage.needs_container = with_run || exports;
    plan.stages = {stage};
    return check_platforms(plan, kAmd64, temp_->path());
  }
  std::string refusal(const std::string& platform) const {
    const Status status = check(platform);
    EXPECT_FALSE(status.ok());
    if (status.ok()) return "";
    EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
    return status.error().message;
  }

  std::optional<TempDir> temp_;
};

TEST_F(ForeignStagesTest, RunsWhatTheProcessorRuns) {
  EXPECT_TRUE(check("linux/amd64").ok());
  EXPECT_TRUE(check("linux/386").ok());
}

TEST_F(ForeignStagesTest, NeedsNothingWhereNothingIsRun) {
  EXPECT_TRUE(check("linux/arm64", false).ok());
  EXPECT_TRUE(check("linux/arm64", false, true).ok());
}

TEST_F(ForeignStagesTest, SaysWhatToInstall) {
  const std::string message = refusal("linux/arm64");
  EXPECT_THAT(message, HasSubstr("Dockerfile:3:1: stage 'build' runs programs for linux/arm64, but this machine is "
                                 "linux/amd64"));
  EXPECT_THAT(message, HasSubstr("apt-get install qemu-user-static"));
  EXPECT_THAT(message, HasSubstr("--platform=$BUILDPLATFORM"));
}

TEST_F(ForeignStagesTest, RunsWhatTheKernelHandsToAnEmulator) {
  write("status", "enabled\n");
  write("qemu-aarch64", kArm64Handler);
  EXPECT_TRUE(check("linux/arm64").ok());
  EXPECT_THAT(refusal("linux/s390x"), HasSubstr("qemu-user-static"));
  EXPECT_THAT(refusal("linux/arm/v7"), HasSubstr("qemu-user-static"));
  write("qemu-s390x", kS390xHandler);
  EXPECT_TRUE(check("linux/s390x").ok());
}

TEST_F(ForeignStagesTest, SaysWhyAnEmulatorDoesNotHelp) {
  write("status", "enabled\n");
  replace("qemu-aarch64", kArm64Handler, "POCF", "POC");
  EXPECT_THAT(refusal("linux/arm64"), HasSubstr("register the emulator qemu-aarch64 with the flag F"));
  replace("qemu-aarch64", kArm64Handler, "enabled", "disabled");
  EXPECT_THAT(refusal("linux/arm64"), HasSubstr("switch the emulator on with 'echo 1 > " + temp_->path().string()));
  write("qemu-aarch64", kArm64Handler);
  write("status", "disabled\n");
  EXPECT_THAT(refusal("linux/arm64"), HasSubstr("switch the kernel's emulators on"));
}

TEST_F(ForeignStagesTest, IsNotConfusedByHandlersOfOtherKinds) {
  write("status", "enabled\n");
  write("python", "enabled\ninterpreter /usr/bin/python3\nflags: F\nextension .py\n");
  write("broken", "enabled\nflags: F\noffset 900\nmagic zz\n");
  EXPECT_FALSE(check("linux/arm64").ok());
}

}  // namespace
}  // namespace imagebuild::cli
