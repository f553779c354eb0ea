#include "cli/local_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "cli/overlay.h"
#include "cli/store.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// A build of one or more stages on busybox, ready to run.
struct LocalRuntimeTest : testing::Test {
  TempDir folder = std::move(*TempDir::create("imagebuild-runtime-test-"));
  Store store = std::move(*Store::open(folder.path() / "store"));
  std::optional<BuildFolder> build;
  SystemProcessRunner processes;
  RuntimeSettings settings;
  api::Plan plan;
  std::vector<fs::path> layers;
  std::string output;  // Of all steps.

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "containers need root";
    const auto runtime = find_in_path("runc");
    const auto busybox = find_in_path("busybox");
    if (!runtime || !busybox) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << "runc and busybox-static must be installed in CI";
      GTEST_SKIP() << "runc or busybox is not installed";
    }
    ASSERT_TRUE(enter_own_mount_namespace().ok());
    build.emplace(std::move(*store.new_build()));
    settings.runtime = *runtime;
    settings.stage_program = *find_stage_program();
    settings.build_folder = build->path();
    settings.volume = build->path() / "volume";
    settings.build_id = build->id();
    settings.context_folder = folder.path() / "context";
    fs::create_directories(settings.context_folder);
    fs::create_directories(settings.volume / "context");
    fs::create_directories(settings.volume / "bases");
    ASSERT_TRUE(archive::TreeIndex().save(settings.volume / api::volume::kContextIndex).ok());

    const fs::path root = folder.path() / "busybox";
    fs::create_directories(root / "bin");
    fs::create_directories(root / "etc");
    fs::copy_file(*busybox, root / "bin/busybox");
    for (const char* name : {"sh", "cat", "ls", "sleep", "env", "id", "hostname", "ps", "head"}) {
      fs::create_symlink("busybox", root / "bin" / name);
    }
    layers = {root};
    plan.dockerfile = "Dockerfile";
  }

  // Adds a stage of shell lines; its exports are what another stage could copy.
  int add_stage(const std::vector<std::string>& lines, std::vector<std::string> exports = {}) {
    api::PlanStage stage;
    stage.name = "s" + std::to_string(plan.stages.size());
    stage.platform = "linux/amd64";
    stage.needs_container = true;
    stage.exports = std::move(exports);
    for (const std::string& line : lines) {
      api::RunStep run;
      run.argv = {"/bin/sh", "-c", line};
      run.env = {"PATH=/bin"};
      run.working_dir = "/";
      api::Step step;
      step.at = api::SourceLine{static_cast<int>(stage.steps.size()) + 2, 1};
      step.text = "RUN " + line;
      step.action = run;
      stage.steps.push_back(std::move(step));
    }
    plan.stages.push_back(std::move(stage));
    const int last = static_cast<int>(plan.stages.size()) - 1;
    plan.targets = {{last, plan.stages.back().platform, ""}};
    return last;
  }

  Result<api::StageReport> run(int stage, std::map<std::string, std::string> secrets = {}, std::stop_token stop = {},
                               const std::function<void()>& on_output = {}) {
    EXPECT_TRUE(write_file_atomically(settings.volume / api::volume::kPlan, plan.json()).ok());
    LocalRuntime runtime(settings, std::move(secrets), processes);
    const auto on_event = [&](const api::StageEvent& event) {
      if (const auto* piece = std::get_if<api::StepOutput>(&event)) {
        output += piece->data;
        if (on_output) on_output();
      }
    };
    return runtime.run(plan, stage, layers, on_event, std::move(stop));
  }

  // Nothing of a container is left: not its state, its control group or its mounts.
  void expect_nothing_left() {
    std::error_code error;
    EXPECT_TRUE(!fs::exists(build->path() / "runtime") || fs::is_empty(build->path() / "runtime"));
    for (const fs::directory_entry& entry : fs::directory_iterator("/sys/fs/cgroup", error)) {
      EXPECT_FALSE(fs::exists(entry.path() / ("imagebuild-" + build->id() + "-0"), error)) << entry.path();
    }
    EXPECT_THAT(*read_file("/proc/self/mountinfo", 1U << 20), Not(HasSubstr(build->path().string())));
  }
};

TEST_F(LocalRuntimeTest, RunsAStageInItsBaseImage) {
  const int stage = add_stage({"echo from $0; hostname; id -u; echo made > /made", "cat /made /etc/hosts"}, {"made"});
  const auto report = run(stage);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_FALSE(report->failure) << report->failure->message;
  EXPECT_THAT(output, HasSubstr("imagebuild\n0\n"));
  EXPECT_THAT(output, HasSubstr("made\n"));
  EXPECT_THAT(output, HasSubstr("127.0.0.1 imagebuild"));
  EXPECT_EQ(report->export_bytes, 5U);
  const auto exported = archive::TreeIndex::load(settings.volume / "stages/0" / api::volume::kExportIndex);
  ASSERT_TRUE(exported.ok());
  EXPECT_NE(exported->find("made"), nullptr);
  EXPECT_FALSE(fs::exists(layers[0] / "made")) << "a layer of the store was changed";
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, TheCallersEnvironmentDoesNotLeak) {
  ::setenv("IMAGEBUILD_TEST_LEAK", "secret", 1);
  const int stage = add_stage({"env"});
  ASSERT_TRUE(run(stage).ok());
  EXPECT_THAT(output, Not(HasSubstr("IMAGEBUILD_TEST_LEAK")));
}

TEST_F(LocalRuntimeTest, AFailingCommandIsInTheReport) {
  const auto report = run(add_stage({"echo last words; exit 42"}));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->failure);
  EXPECT_EQ(report->failure->exit_code, 42);
  EXPECT_THAT(report->failure->log_tail, Contains("last words"));
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, SeveralStagesRunAtTheSameTime) {
  for (int i = 0; i < 3; ++i) add_stage({"echo " + std::to_string(i) + " > /out"}, {"out"});
  ASSERT_TRUE(write_file_atomically(settings.volume / api::volume::kPlan, plan.json()).ok());
  LocalRuntime runtime(settings, {}, processes);
  std::vector<std::thread> threads;
  for (int stage = 0; stage < 3; ++stage) {
    threads.emplace_back([&, stage] {
      const auto report = runtime.run(plan, stage, layers, [](const api::StageEvent&) {}, {});
      ASSERT_TRUE(report.ok()) << report.error().message;
      EXPECT_FALSE(report->failure) << report->failure->message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, StoppingEndsTheContainer) {
  const int stage = add_stage({"echo begun; sleep 3600"});
  std::stop_source stop{};
  const auto report = run(stage, {}, stop.get_token(), [&] { stop.request_stop(); });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, AStageSeesOnlyTheSecretsItNames) {
  const int stage = add_stage({"cat /run/secrets/mine; ls /run/secrets"});
  api::SecretMount mount;
  mount.id = "mine";
  mount.target = "/run/secrets/mine";
  mount.required = true;
  std::get<api::RunStep>(plan.stages[0].steps[0].action).secrets = {mount};
  const auto report = run(stage, {{"mine", "own words\n"}, {"other", "others' words\n"}});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_FALSE(report->failure);
  EXPECT_THAT(output, HasSubstr("own words\n"));
  EXPECT_THAT(output, Not(HasSubstr("others' words")));
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, AnEmptyRootHasNothingButTheStageProgram) {
  layers.clear();
  const auto report = run(add_stage({"true"}));
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_TRUE(report->failure) << "there is no shell in an empty root";
  EXPECT_THAT(report->failure->message, HasSubstr("/bin/sh"));
  expect_nothing_left();
}

TEST_F(LocalRuntimeTest, ARuntimeThatCannotRunIsNamed) {
  settings.runtime = "/bin/false";
  const auto report = run(add_stage({"true"}));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kInternal);
  EXPECT_THAT(report.error().message, HasSubstr("false could not run the stage's container"));
}

}  // namespace
}  // namespace imagebuild::cli
