// A stage whose first steps a cache had: it ends as one that carried them all out.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "builder/stage/stage.h"
#include "in_container.h"

namespace imagebuild::testing {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;
using ::testing::HasSubstr;
using ::testing::Not;

void overwrite_first_byte(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(::pwrite(fd.get(), "\xff", 1, 20), 1);
}

// Leaves in a finished stage's folder what a cache has of its first `steps` steps.
void keep_only(const fs::path& folder, api::StageReport report, int steps) {
  std::erase_if(report.layers, [&](const api::LayerReport& layer) { return layer.step >= steps; });
  report.cached_steps = steps;
  for (const fs::path& path : {fs::path("layers"), fs::path("exports"), fs::path(volume::kReport)}) {
    if (path != "layers") fs::remove_all(folder / path);
  }
  for (const auto& it : fs::directory_iterator(folder / "layers")) {
    const bool stays = std::ranges::any_of(report.layers, [&](const api::LayerReport& layer) {
      return it.path().filename() == fs::path(layer.file).filename() ||
             it.path().filename() == fs::path(volume::layer_index(layer.step)).filename();
    });
    if (!stays) fs::remove(it.path());
  }
  ASSERT_TRUE(write_file_atomically(folder / volume::kReplay, report.json()).ok());
}

// An export's entries without their times: those of a command's files are when it ran.
archive::TreeIndex timeless(const fs::path& path) {
  auto index = archive::TreeIndex::load(path);
  EXPECT_TRUE(index.ok());
  archive::TreeIndex result;
  if (!index.ok()) return result;
  for (auto [name, node] : index->nodes()) {
    node.mtime_s = 0;
    result.put(node);
  }
  return result;
}

std::vector<std::pair<int, bool>> steps_done(const std::vector<api::StageEvent>& events) {
  std::vector<std::pair<int, bool>> done;
  for (const api::StageEvent& event : events) {
    if (const auto* it = std::get_if<api::StepDone>(&event)) done.emplace_back(it->step, it->cached);
  }
  return done;
}

class ReplayInContainer : public InContainer {
 protected:
  void fill() override {
    container().add("etc/old", "of the base");
    container().add_run(
        "echo ran-first; rm /etc/old; mkdir -p /srv/a; echo one > /srv/a/b; ln /srv/a/b /srv/c; "
        "ln -s b /srv/a/d; chown 1000:1000 /srv/c; chmod 4711 /srv/a/b");
    container().add_step(api::MetadataStep{});
    container().add_run("echo ran-second; test ! -e /etc/old; cat /srv/c > /srv/e; rm /srv/a/d");
    container().add_run("echo ran-third; echo x >> /srv/e; chmod 700 /srv/a");
    container().stage().exports = {"srv"};
  }
  fs::path folder() { return container().volume() / volume::stage_folder(0); }
  // The stage starts in its image again.
  void forget_root() {
    for (const char* name : {"upper", "work"}) {
      fs::remove_all(container().upper().parent_path() / name);
      fs::create_directory(container().upper().parent_path() / name);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, ReplayInContainer, ::testing::Values(true, false), kind_of_container);

TEST_P(ReplayInContainer, EndsAsOneThatRanAllSteps) {
  const Outcome all = container().run();
  ASSERT_EQ(all.exit_status, 0) << all.output;
  ASSERT_EQ(all.report->layers.size(), 3U);
  const archive::TreeIndex exported = timeless(folder() / volume::kExportIndex);
  for (const int steps : {1, 2, 3, 4}) {
    keep_only(folder(), *all.report, steps);
    forget_root();
    const Outcome some = container().run();
    ASSERT_EQ(some.exit_status, 0) << some.output;
    EXPECT_EQ(some.report->cached_steps, steps);
    api::StageReport as_if_run = *some.report;
    as_if_run.cached_steps = 0;
    EXPECT_EQ(as_if_run, *all.report) << steps;
    EXPECT_EQ(timeless(folder() / volume::kExportIndex).nodes(), exported.nodes()) << steps;
    EXPECT_THAT(some.output, Not(HasSubstr("ran-first")));
    EXPECT_EQ(some.output.find("ran-third") == std::string::npos, steps == 4) << some.output;
    std::vector<std::pair<int, bool>> expected;
    for (int step = 0; step < 4; ++step) expected.emplace_back(step, step < steps);
    EXPECT_EQ(steps_done(some.events), expected);
  }
}

TEST_P(ReplayInContainer, ReplaysLayersThatAreKeptForACacheAlone) {
  container().stage().keep_layers = false;
  container().stage().cache_layers = true;
  const Outcome all = container().run();
  ASSERT_EQ(all.exit_status, 0) << all.output;
  ASSERT_EQ(all.report->layers.size(), 2U) << "nothing follows the last RUN";
  EXPECT_EQ(all.report->layers[0].file, "layers/0.tar");
  const archive::TreeIndex exported = timeless(folder() / volume::kExportIndex);
  keep_only(folder(), *all.report, 3);
  forget_root();
  const Outcome some = container().run();
  ASSERT_EQ(some.exit_status, 0) << some.output;
  EXPECT_THAT(some.output, Not(HasSubstr("ran-second")));
  EXPECT_EQ(timeless(folder() / volume::kExportIndex).nodes(), exported.nodes());
}

TEST_P(ReplayInContainer, NamesABrokenLayer) {
  const Outcome all = container().run();
  ASSERT_EQ(all.exit_status, 0) << all.output;
  keep_only(folder(), *all.report, 3);
  overwrite_first_byte(folder() / "layers/2.tar.gz");
  forget_root();
  const Outcome broken = container().run();
  EXPECT_NE(broken.exit_status, 0);
  ASSERT_TRUE(broken.report && broken.report->failure);
  EXPECT_EQ(broken.report->failure->step, 2);
  EXPECT_EQ(broken.report->failure->code, "Corrupt");
  EXPECT_THAT(broken.report->failure->message, HasSubstr("a layer that a cache kept"));
  EXPECT_THAT(broken.output, Not(HasSubstr("ran-third"))) << "nothing runs on what is broken";
}

TEST_P(ReplayInContainer, RefusesALayerOfNoStep) {
  const Outcome all = container().run();
  ASSERT_EQ(all.exit_status, 0) << all.output;
  keep_only(folder(), *all.report, 3);
  auto report = api::StageReport::parse(*read_file(folder() / volume::kReplay, 1U << 20));
  ASSERT_TRUE(report.ok());
  report->cached_steps = 2;
  ASSERT_TRUE(write_file_atomically(folder() / volume::kReplay, report->json()).ok());
  forget_root();
  const Outcome broken = container().run();
  ASSERT_TRUE(broken.report && broken.report->failure);
  EXPECT_THAT(broken.report->failure->message, HasSubstr("layers/2.tar.gz"));
}

// A stage of copies on nothing.
class ReplayComputed : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root() / volume::kContextFolder);
    archive::TreeIndex context;
    for (const char* name : {"x", "y"}) {
      ASSERT_TRUE(write_file_atomically(root() / volume::kContextFolder / name, name).ok());
      archive::Node node;
      node.path = name;
      node.mode = 0644;
      node.size_bytes = 1;
      context.put(node);
    }
    ASSERT_TRUE(context.save(root() / volume::kContextIndex).ok());
    plan_.epoch_s = 1'700'000'000;
    api::PlanStage& stage = plan_.stages.emplace_back();
    stage.name = "app";
    stage.platform = "linux/amd64";
    stage.keep_layers = true;
    stage.exports = {"w"};
    stage.steps.emplace_back().action = api::WorkdirStep{"/w", ""};
    stage.steps.emplace_back().action = copy("x", "/w/");
    stage.steps.emplace_back().action = copy("y", "/w/sub/");
  }
  static api::CopyStep copy(const std::string& source, const std::string& destination) {
    api::CopyStep it;
    it.from = api::FromContext{};
    it.sources = {source};
    it.destination = destination.substr(0, destination.size() - 1);
    it.destination_is_folder = true;
    return it;
  }
  fs::path root() const { return folder_.path(); }
  fs::path stage_folder() const { return root() / volume::stage_folder(0); }
  api::StageReport compute() {
    builder::StageJob job;
    job.volume = root();
    job.on_event = [this](const api::StageEvent& event) { events_.push_back(event); };
    events_.clear();
    const auto report = builder::compute_stage(plan_, job, {});
    EXPECT_TRUE(report.ok());
    return report.ok() ? *report : api::StageReport{};
  }
  std::vector<api::StageEvent> events_;
  api::Plan plan_;

 private:
  TempDir folder_ = std::move(*TempDir::create("replay-computed-"));
};

TEST_F(ReplayComputed, EndsAsOneThatComputedAllSteps) {
  const api::StageReport all = compute();
  ASSERT_FALSE(all.failure) << all.failure->message;
  ASSERT_EQ(all.layers.size(), 3U);
  const std::string exported = *read_file(stage_folder() / volume::kExportTar, 1U << 20);
  for (const int steps : {1, 2, 3}) {
    keep_only(stage_folder(), all, steps);
    api::StageReport some = compute();
    ASSERT_FALSE(some.failure) << some.failure->message;
    EXPECT_EQ(std::exchange(some.cached_steps, 0), steps);
    EXPECT_EQ(some, all) << steps;
    EXPECT_EQ(*read_file(stage_folder() / volume::kExportTar, 1U << 20), exported) << steps;
    EXPECT_EQ(steps_done(events_).at(static_cast<std::size_t>(steps) - 1).second, true);
  }
}

TEST_F(ReplayComputed, NamesABrokenLayer) {
  const api::StageReport all = compute();
  keep_only(stage_folder(), all, 2);
  overwrite_first_byte(stage_folder() / "layers/1.tar.gz");
  const api::StageReport broken = compute();
  ASSERT_TRUE(broken.failure);
  EXPECT_EQ(broken.failure->step, 1);
  EXPECT_THAT(broken.failure->message, HasSubstr("a layer that a cache kept"));
}

TEST_F(ReplayComputed, TakesNothingOfAFormerAttemptWithoutAReplay) {
  const api::StageReport all = compute();
  keep_only(stage_folder(), all, 2);
  fs::remove(stage_folder() / volume::kReplay);
  overwrite_first_byte(stage_folder() / "layers/1.tar.gz");
  EXPECT_EQ(compute(), all);
}

}  // namespace
}  // namespace imagebuild::testing
