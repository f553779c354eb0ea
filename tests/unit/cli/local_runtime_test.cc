#include "cli/local_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/event_pipe.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

RuntimeSettings settings() {
  RuntimeSettings it;
  it.stage_program = "/opt/imagebuild-stage";
  it.volume = "/b/volume";
  it.context_folder = "/home/me/app";
  return it;
}

std::vector<std::string> lines_of(const std::vector<Bind>& binds) {
  std::vector<std::string> lines;
  for (const Bind& bind : binds) {
    lines.push_back(bind.source.string() + " " + bind.target + (bind.writable ? " rw" : " ro"));
  }
  return lines;
}

TEST(StageBindsTest, ShowsAStageOnlyWhatItMaySee) {
  api::Plan plan = sample_plan();
  plan.stages.push_back(stage_on("other", 9, api::Scratch{}));
  EXPECT_THAT(lines_of(stage_binds(settings(), plan, 1, {{"hosts", "/b/hosts"}})),
              ElementsAre("/opt/imagebuild-stage /.imagebuild/bin/imagebuild-stage ro",
                          "/b/volume/plan.json /.imagebuild/plan.json ro", "/b/volume/bases /.imagebuild/bases ro",
                          "/b/volume/context/context.index /.imagebuild/context/context.index ro",
                          "/home/me/app /.imagebuild/context/folder ro", "/b/volume/stages/0 /.imagebuild/stages/0 ro",
                          "/b/volume/stages/1 /.imagebuild/stages/1 rw", "/b/hosts /etc/hosts ro"));
}

TEST(StageBindsTest, MountsTheTarOfATarContextAndTheStagesBelow) {
  api::Plan plan = sample_plan();
  plan.stages.push_back(stage_on("derived", 9, api::OnStage{1}));
  RuntimeSettings it = settings();
  it.context_folder.clear();
  const std::vector<std::string> lines = lines_of(stage_binds(it, plan, 2, {{"secrets", "/b/secrets"}}));
  EXPECT_THAT(lines, Contains("/b/volume/context/context.tar /.imagebuild/context/context.tar ro"));
  EXPECT_THAT(lines, Contains("/b/volume/stages/1 /.imagebuild/stages/1 ro"));
  EXPECT_THAT(lines, Contains("/b/volume/stages/2 /.imagebuild/stages/2 rw"));
  EXPECT_THAT(lines, Contains("/b/secrets /.imagebuild/secrets ro"));
}

TEST(RuntimeErrorTest, SaysWhyTheContainerDidNotRun) {
  EXPECT_EQ(runtime_error("/usr/bin/runc", 1, "time=… level=error msg=\"first\"\nlast words\n").message,
            "runc could not run the stage's container (exit status 1): last words");
  EXPECT_EQ(runtime_error("/usr/bin/runc", 1, "").message, "runc could not run the stage's container (exit status 1)");
  EXPECT_THAT(runtime_error("/usr/bin/crun", 1, "cgroups in hybrid mode not supported\n").message,
              HasSubstr("install runc"));
}

TEST(ContainerConfigTest, IsLikeAContainerOfDocker) {
  ContainerSpec spec;
  spec.root = "/b/root/merged";
  spec.arguments = {"/.imagebuild/bin/imagebuild-stage", "--stage", "0"};
  spec.hostname = "imagebuild";
  spec.cgroup = "/imagebuild-1";
  spec.binds = {Bind{"/src", "/dst", false}, Bind{"/out", "/out", true}};
  const auto json = nlohmann::json::parse(container_config(spec));
  EXPECT_EQ(json["root"], nlohmann::json::parse(R"({"path": "/b/root/merged", "readonly": false})"));
  EXPECT_EQ(json["process"]["args"], nlohmann::json(spec.arguments));
  EXPECT_EQ(json["process"]["env"].size(), 1U) << "the caller's environment must not leak";
  EXPECT_EQ(json["process"]["cwd"], "/");
  EXPECT_EQ(json["process"]["terminal"], false);
  EXPECT_EQ(json["linux"]["cgroupsPath"], "/imagebuild-1");

  std::vector<std::string> capabilities = json["process"]["capabilities"]["bounding"];
  EXPECT_EQ(capabilities.size(), 15U);
  EXPECT_THAT(capabilities, Contains("CAP_SYS_ADMIN"));
  EXPECT_THAT(capabilities, Not(Contains("CAP_SYS_PTRACE")));
  EXPECT_FALSE(json["process"]["capabilities"].contains("ambient"));

  std::vector<std::string> namespaces;
  for (const auto& it : json["linux"]["namespaces"]) namespaces.push_back(it["type"]);
  EXPECT_THAT(namespaces, ElementsAre("pid", "ipc", "uts", "mount"));

  std::vector<std::string> mounts;
  for (const auto& it : json["mounts"]) mounts.push_back(it["destination"]);
  EXPECT_THAT(mounts, ElementsAre("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/dst", "/out"));
  EXPECT_THAT(json["mounts"][6]["options"], Contains("ro"));
  EXPECT_THAT(json["mounts"][7]["options"], Contains("rw"));
  EXPECT_THAT(json["linux"]["maskedPaths"], Contains("/proc/kcore"));
  EXPECT_THAT(json["linux"]["readonlyPaths"], Contains("/proc/sys"));
}

void write_text(int fd, const std::string& text) {
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(EventPipeTest, GivesEventsAndTheReport) {
  std::vector<api::StageEvent> events;
  const auto pipe = EventPipe::open([&](const api::StageEvent& event) { events.push_back(event); });
  ASSERT_TRUE(pipe.ok());
  api::StageReport report;
  report.stage = "build";
  const std::string text = api::event_json(api::StepStarted{1}) + "\n" + api::event_json(api::StageDone{report}) + "\n";
  write_text((*pipe)->write_fd(), text.substr(0, 5));
  write_text((*pipe)->write_fd(), text.substr(5));
  const auto told = (*pipe)->finish();
  ASSERT_TRUE(told.ok());
  ASSERT_TRUE(told->has_value());
  EXPECT_EQ(**told, report);
  EXPECT_EQ(events.size(), 2U);
}

TEST(EventPipeTest, RefusesWhatIsNoEvent) {
  const auto pipe = EventPipe::open([](const api::StageEvent&) {});
  ASSERT_TRUE(pipe.ok());
  write_text((*pipe)->write_fd(), "{}\nnonsense\n");
  EXPECT_FALSE((*pipe)->finish().ok());
}

}  // namespace
}  // namespace imagebuild::cli
