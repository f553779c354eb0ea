#include "builder/cache/stage_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "api/volume.h"
#include "builder/cache/inputs_json.h"
#include "tests/unit/cache/kept_files.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;
using build::InputKind;
using cli::sample_plan;
using cli::step_at;
using testing::HasSubstr;

// A place that fails.
class BrokenStore final : public CacheStore {
 public:
  Result<std::optional<CacheRecord>> find(const oci::Digest&, const std::stop_token&) override { return error(); }
  Result<bool> fetch(const CacheRecord&, const fs::path&, const std::stop_token&) override { return error(); }
  Status keep(const oci::Digest&, const CacheRecord&, const fs::path&, const std::stop_token&) override {
    return error();
  }
  std::string name() const override { return "the broken store"; }

 private:
  static Error error() { return Error{ErrorCode::kUnavailable, "it is away"}; }
};

// Stage 0 of the sample plan, COPY RUN ENV, built on an image; its inputs are made up.
class StageResultsTest : public testing::Test {
 protected:
  void SetUp() override {
    stage().keep_layers = true;
    places_.from = places_.to = {&store_};
    places_.scope = "scope";
    inputs_.start = {{InputKind::kBase, "gcc:12", "1"}};
    inputs_.steps = {{0, {{InputKind::kFile, "main.c", "1"}}}, {1, {{InputKind::kInstruction, "", "make"}}}};
    inputs_.end = {{InputKind::kExports, "", "src/app"}};
  }
  api::PlanStage& stage() { return plan_.stages[0]; }
  fs::path path(const std::string& name) const { return folder_.path() / name; }

  api::LayerReport layer(const fs::path& folder, int step, const std::string& text) {
    api::LayerReport it;
    it.step = step;
    it.file = volume::layer_file(step, ".tar.gz");
    it.media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    it.digest = it.diff_id = oci::Digest::of(text).str();
    it.size_bytes = it.uncompressed_bytes = text.size();
    put_text(folder / it.file, text);
    put_text(folder / volume::layer_index(step), "index of " + text);
    return it;
  }
  // A stage's folder as it is when the stage is done: a layer of each of its first two steps that change files.
  api::StageReport make(const fs::path& folder, int first_step = 0) {
    api::StageReport report;
    report.stage = stage().name;
    report.layers = {layer(folder, first_step, "copied"), layer(folder, first_step + 1, "made")};
    report.export_bytes = 8;
    report.root_bytes = 9;
    put_text(folder / volume::kExportTar, "exported");
    put_text(folder / volume::kExportIndex, "index");
    put_text(folder / volume::kReport, report.json());
    return report;
  }
  Status keep(const api::StageReport& report, const fs::path& folder, bool ran_commands = true) {
    return StageResults(plan_, places_).keep(0, inputs_, report, folder, ran_commands, {});
  }
  void build_and_keep() {
    const Status kept = keep(make(path("built")), path("built"));
    ASSERT_TRUE(kept.ok()) << kept.error().message;
    fs::remove_all(path("built"));
  }
  Restored restore(const std::string& name = "restored") {
    auto restored = StageResults(plan_, places_).restore(0, inputs_, path(name), {});
    EXPECT_TRUE(restored.ok()) << restored.error().message;
    return restored.ok() ? std::move(*restored) : Restored{};
  }
  api::StageReport replayed(const std::string& name = "restored") {
    const auto report = api::StageReport::parse(text_of(path(name) / volume::kReplay));
    EXPECT_TRUE(report.ok());
    return report.ok() ? *report : api::StageReport{};
  }

  TempDir folder_ = std::move(*TempDir::create("imagebuild-stage-results-test-"));
  FolderStore store_ = std::move(*FolderStore::open({folder_.path() / "cache"}));
  api::Plan plan_ = sample_plan();
  CachePlaces places_;
  build::StageInputs inputs_;
};

TEST_F(StageResultsTest, GivesBackAWholeStage) {
  EXPECT_FALSE(restore("nothing").report);
  build_and_keep();
  stage().name = "renamed";
  const Restored restored = restore();
  ASSERT_TRUE(restored.report);
  EXPECT_EQ(restored.report->stage, "renamed");
  EXPECT_EQ(restored.report->cached_steps, 3);
  EXPECT_EQ(restored.report->root_bytes, 9U);
  EXPECT_EQ(*api::StageReport::parse(text_of(path("restored") / volume::kReport)), *restored.report);
  api::StageReport expected = make(path("again"));
  EXPECT_EQ(restored.report->layers, expected.layers);
  for (const char* file :
       {"layers/0.tar.gz", "layers/0.index", "layers/1.tar.gz", volume::kExportTar, volume::kExportIndex}) {
    EXPECT_EQ(text_of(path("restored") / file), text_of(path("again") / file)) << file;
  }
  EXPECT_FALSE(fs::exists(path("restored") / volume::kReplay));
}

TEST_F(StageResultsTest, GivesBackTheStepsBeforeTheOneThatChanged) {
  build_and_keep();
  inputs_.steps[1].inputs[0].value = "make all";
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 1);
  ASSERT_TRUE(restored.change);
  EXPECT_EQ(restored.change->step, 1);
  EXPECT_EQ(restored.change->what, "the instruction changed");
  const api::StageReport report = replayed();
  EXPECT_EQ(report.cached_steps, 1);
  ASSERT_EQ(report.layers.size(), 1U);
  EXPECT_EQ(text_of(path("restored/layers/0.tar.gz")), "copied");
  EXPECT_FALSE(fs::exists(path("restored/layers/1.tar.gz")));
  EXPECT_FALSE(fs::exists(path("restored") / volume::kExportTar));
}

TEST_F(StageResultsTest, GivesBackAllStepsWhenOnlyWhatLeavesTheStageChanged) {
  build_and_keep();
  inputs_.end[0].value = "src/lib";
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 2);
  EXPECT_EQ(restored.change->what, "what other stages take from it changed");
}

TEST_F(StageResultsTest, GivesBackNothingOfAChangedBase) {
  build_and_keep();
  inputs_.start[0].value = "2";
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 0);
  EXPECT_EQ(restored.change->what, "the base gcc:12 changed");
  EXPECT_FALSE(fs::exists(path("restored") / volume::kReplay));
}

TEST_F(StageResultsTest, GivesBackTheKnownStepsOfAStageWhoseOtherInputsAreNotKnownYet) {
  build_and_keep();
  inputs_.steps.pop_back();
  inputs_.is_complete = false;
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 1);
  EXPECT_FALSE(restored.change);
}

// A LABEL before the steps changes no key, and gives every step another number.
TEST_F(StageResultsTest, GivesLayersTheNumbersThatTheirStepsHaveNow) {
  build_and_keep();
  stage().steps.insert(stage().steps.begin(), step_at(2, "LABEL a=b", api::MetadataStep{}));
  for (build::StepInputs& step : inputs_.steps) ++step.step;
  const Restored restored = restore();
  ASSERT_TRUE(restored.report);
  EXPECT_EQ(restored.report->layers, make(path("again"), 1).layers);
  EXPECT_EQ(text_of(path("restored/layers/1.tar.gz")), "copied");
  EXPECT_EQ(text_of(path("restored/layers/2.tar.gz")), "made");
  EXPECT_EQ(text_of(path("restored/layers/2.index")), "index of made");
  EXPECT_FALSE(fs::exists(path("restored/layers/0.tar.gz")));

  inputs_.steps[1].inputs[0].value = "make all";
  EXPECT_EQ(restore("steps").steps, 2);
  EXPECT_EQ(replayed("steps").layers.at(0).step, 1);
  EXPECT_EQ(text_of(path("steps/layers/1.tar.gz")), "copied");
  EXPECT_FALSE(fs::exists(path("steps/layers/2.tar.gz"))) << "there the RUN will write its own";
}

TEST_F(StageResultsTest, GivesLayersTheirNumbersWhenAStepBeforeThemIsGone) {
  stage().steps.insert(stage().steps.begin(), step_at(2, "LABEL a=b", api::MetadataStep{}));
  for (build::StepInputs& step : inputs_.steps) ++step.step;
  ASSERT_TRUE(keep(make(path("built"), 1), path("built")).ok());
  stage().steps.erase(stage().steps.begin());
  for (build::StepInputs& step : inputs_.steps) --step.step;
  inputs_.steps[1].inputs[0].value = "make all";
  EXPECT_EQ(restore().steps, 1);
  EXPECT_EQ(replayed().layers.at(0).step, 0);
  EXPECT_EQ(text_of(path("restored/layers/0.tar.gz")), "copied");
}

TEST_F(StageResultsTest, KeepsOfAStageForOthersWhatLeavesItAndTheLayersBelowTheLastRun) {
  stage().keep_layers = false;
  stage().cache_layers = true;
  stage().steps.insert(stage().steps.begin() + 2, step_at(4, "RUN test", api::RunStep{}));
  inputs_.steps.push_back({2, {{InputKind::kInstruction, "", "test"}}});
  // The RUN at the end is followed by nothing that changes files.
  ASSERT_EQ(api::steps_with_layers(stage()), 2U);
  build_and_keep();
  const Restored whole = restore();
  ASSERT_TRUE(whole.report);
  EXPECT_TRUE(whole.report->layers.empty());
  EXPECT_FALSE(fs::exists(path("restored/layers/0.tar.gz")));
  EXPECT_EQ(text_of(path("restored") / volume::kExportTar), "exported");
  inputs_.steps[2].inputs[0].value = "test all";
  const Restored steps = restore("steps");
  EXPECT_EQ(steps.steps, 2);
  EXPECT_EQ(replayed("steps").layers.size(), 2U);
}

TEST_F(StageResultsTest, KeepsTheStepsBeforeTheOneThatFailed) {
  api::StageReport report = make(path("built"));
  report.layers.pop_back();
  report.failure = api::Failure{.stage = "build", .step = 1, .message = "exit 1"};
  ASSERT_TRUE(keep(report, path("built")).ok());
  const Restored restored = restore();
  EXPECT_FALSE(restored.report) << "a stage that failed is never kept";
  EXPECT_EQ(restored.steps, 1);
  EXPECT_EQ(text_of(path("restored/layers/0.tar.gz")), "copied");
}

TEST_F(StageResultsTest, KeepsNothingOfAStageThatCouldNotBegin) {
  api::StageReport report;
  report.failure = api::Failure{.stage = "build", .step = -1, .message = "no root"};
  ASSERT_TRUE(keep(report, path("built")).ok());
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 0);
  EXPECT_FALSE(restored.change);
}

TEST_F(StageResultsTest, DoesNotKeepALayerThatACommandHasChanged) {
  const api::StageReport report = make(path("built"));
  put_text(path("built/layers/0.tar.gz"), "c0pied");
  EXPECT_EQ(keep(report, path("built")).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(restore().steps, 0);
}

TEST_F(StageResultsTest, TakesLayersWithoutAnIndex) {
  const api::StageReport report = make(path("built"));
  fs::remove(path("built/layers/0.index"));
  ASSERT_TRUE(keep(report, path("built")).ok());
  EXPECT_TRUE(restore().report);
}

TEST_F(StageResultsTest, KeepsNothingWithoutTheExports) {
  const api::StageReport report = make(path("built"));
  fs::remove(path("built") / volume::kExportTar);
  EXPECT_EQ(keep(report, path("built")).error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(restore().report);
}

TEST_F(StageResultsTest, IsNotFooledByWhatACommandPutInPlaceOfAFile) {
  const api::StageReport report = make(path("built"));
  fs::remove(path("built/layers/0.index"));
  ASSERT_EQ(::mkfifo(path("built/layers/0.index").c_str(), 0600), 0);
  EXPECT_EQ(keep(report, path("built")).error().code, ErrorCode::kCorrupt);
}

TEST_F(StageResultsTest, PutsTogetherWhatWasReplayedAndWhatWasMade) {
  build_and_keep();
  inputs_.steps[1].inputs[0].value = "make all";
  ASSERT_EQ(restore().steps, 1);
  api::StageReport report = replayed();
  report.layers.push_back(layer(path("restored"), 1, "made again"));
  put_text(path("restored") / volume::kExportTar, "exported again");
  put_text(path("restored") / volume::kExportIndex, "index");
  ASSERT_TRUE(keep(report, path("restored")).ok());
  const Restored whole = restore("whole");
  ASSERT_TRUE(whole.report);
  EXPECT_EQ(whole.report->layers, report.layers);
  EXPECT_EQ(text_of(path("whole/layers/0.tar.gz")), "copied");
  EXPECT_EQ(text_of(path("whole/layers/1.tar.gz")), "made again");
}

TEST_F(StageResultsTest, RunsTheStageWhereABlobIsGone) {
  build_and_keep();
  fs::remove(path("cache/blobs") / oci::Digest::of("made").hex());
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 1) << "what is left is used";
  EXPECT_TRUE(restored.warnings.empty());
  EXPECT_FALSE(fs::exists(path("restored/layers/1.tar.gz")));
}

// What a stranger may have put under a key.
struct Forged {
  const char* name;
  std::function<void(CacheRecord&, api::StageReport&)> change;
};
void PrintTo(const Forged& row, std::ostream* out) {
  *out << row.name;
}

class ForgedRecord : public StageResultsTest, public testing::WithParamInterface<Forged> {};

TEST_P(ForgedRecord, IsAMiss) {
  stage().exports.clear();
  const api::StageReport made = make(path("built"));
  api::StageReport report = made;
  CacheRecord record{"title", {}, {}};
  for (const api::LayerReport& it : made.layers) record.files.push_back({it.file, it.digest, it.size_bytes});
  ASSERT_TRUE(GetParam().change != nullptr);
  GetParam().change(record, report);
  if (record.content.empty()) record.content = report.json();
  const oci::Digest key = *build::keys_of(inputs_).stage;
  for (const CachedFile& file : record.files) put_text(path("cache/blobs") / file.digest.substr(7), "x");
  put_text(path("cache/records") / key.hex(), record.json());
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Records, ForgedRecord,
    testing::Values(
        Forged{"WithOtherContentThanItsFiles", [](CacheRecord&, api::StageReport&) {}},
        Forged{"WithoutAReport", [](CacheRecord& it, api::StageReport&) { it.content = "{}"; }},
        Forged{"WithAFailure",
               [](CacheRecord& it, api::StageReport& report) {
                 report.failure = api::Failure{.stage = "build", .message = "exit 1"};
                 report.layers.clear();
                 it.files.clear();
               }},
        Forged{"WithoutALayersFile", [](CacheRecord& it, api::StageReport&) { it.files.clear(); }},
        Forged{"WithALayerElsewhere",
               [](CacheRecord& it, api::StageReport& report) {
                 report.layers.resize(1);
                 report.layers[0].file = "../x.tar.gz";
                 it.files.clear();
               }},
        Forged{"WithAStepThatIsNone", [](CacheRecord&, api::StageReport& report) { report.layers[1].step = 7; }},
        Forged{"WithANegativeStep", [](CacheRecord&, api::StageReport& report) { report.layers[0].step = -1; }},
        Forged{"WithStepsOutOfOrder",
               [](CacheRecord&, api::StageReport& report) { std::swap(report.layers[0], report.layers[1]); }}),
    [](const auto& row) { return row.param.name; });

TEST_F(StageResultsTest, LeavesNothingOfAWholeStageThatLacksItsExports) {
  build_and_keep();
  const oci::Digest key = *build::keys_of(inputs_).stage;
  CacheRecord record = **store_.find(key, {});
  std::erase_if(record.files, [](const CachedFile& file) { return file.path == volume::kExportTar; });
  put_text(path("cache/records") / key.hex(), record.json());
  inputs_.steps[1].inputs[0].value = "make all";  // Only the first step is there besides it.
  const oci::Digest other = *build::keys_of(inputs_).stage;
  put_text(path("cache/records") / other.hex(), record.json());
  const Restored restored = restore();
  EXPECT_FALSE(restored.report);
  EXPECT_EQ(restored.steps, 1);
  EXPECT_FALSE(fs::exists(path("restored/layers/1.tar.gz"))) << "the RUN would write into the cache's file";
}

TEST_F(StageResultsTest, ForgetsWhatAnEarlierAttemptHadFound) {
  build_and_keep();
  ASSERT_TRUE(restore().report);
  fs::remove_all(path("cache/blobs"));
  fs::create_directory(path("cache/blobs"));
  EXPECT_FALSE(restore().report);
  EXPECT_FALSE(fs::exists(path("restored") / volume::kReport));
  EXPECT_FALSE(fs::exists(path("restored") / volume::kReplay));
}

TEST_F(StageResultsTest, AsksThePlacesInTheirOrder) {
  FolderStore other = std::move(*FolderStore::open({path("other")}));
  build_and_keep();
  places_.from = {&other, &store_};
  EXPECT_TRUE(restore().report);
  places_.from = {&other};
  EXPECT_FALSE(restore("nothing").report);
  places_.from = {};
  EXPECT_FALSE(restore("no places").report);
}

// Of a stage for its exports alone the whole result has no layers.
TEST_F(StageResultsTest, PassesOnTheStepsOfAStageThatCameWhole) {
  for (const bool keep_layers : {true, false}) {
    stage().keep_layers = keep_layers;
    stage().cache_layers = !keep_layers;
    stage().steps.push_back(step_at(9, "RUN", api::RunStep{}));
    inputs_.steps.push_back({static_cast<int>(stage().steps.size()) - 1, {{InputKind::kInstruction, "", "more"}}});
    build_and_keep();
    const Restored whole = restore();
    ASSERT_TRUE(whole.report);
    const fs::path place = path(keep_layers ? "one" : "two");
    FolderStore other = std::move(*FolderStore::open({place}));
    places_.to = {&store_, &other};
    const std::size_t files = count_in(path("restored"));
    const Status kept = keep(*whole.report, path("restored"));
    EXPECT_EQ(count_in(path("restored")), files) << "nothing is left there";
    ASSERT_TRUE(kept.ok()) << kept.error().message;
    places_.from = {&other};
    inputs_.steps.back().inputs[0].value = "changed";
    const Restored steps = restore("elsewhere");
    EXPECT_FALSE(steps.report);
    EXPECT_EQ(steps.steps, 2);
    EXPECT_EQ(text_of(path("elsewhere/layers/1.tar.gz")), "made");
    places_.from = places_.to = {&store_};
    for (const char* folder : {"restored", "elsewhere"}) fs::remove_all(path(folder));
    stage().steps.pop_back();
    inputs_.steps.pop_back();
  }
}

TEST_F(StageResultsTest, GoesOnWithoutAPlaceThatFails) {
  build_and_keep();
  BrokenStore broken;
  places_.from = {&broken, &store_};
  const Restored restored = restore();
  EXPECT_TRUE(restored.report);
  ASSERT_FALSE(restored.warnings.empty());
  EXPECT_THAT(restored.warnings[0].message, HasSubstr("the broken store: it is away"));
}

TEST_F(StageResultsTest, SaysWhichPlaceCouldNotKeep) {
  BrokenStore broken;
  places_.to = {&broken, &store_};
  const Status kept = keep(make(path("built")), path("built"));
  ASSERT_FALSE(kept.ok());
  EXPECT_THAT(kept.error().message, HasSubstr("the broken store"));
  EXPECT_TRUE(restore().report) << "the other has it";
}

TEST_F(StageResultsTest, SaysWhatChangedOnlyWithinOneScope) {
  build_and_keep();
  inputs_.start[0].value = "2";
  places_.scope = "another";
  EXPECT_FALSE(restore().change);
  places_.scope = "scope";
  EXPECT_TRUE(restore().change);
}

// Looks the stage up without its files.
class WithoutFiles : public StageResultsTest {
 protected:
  void SetUp() override {
    StageResultsTest::SetUp();
    inputs_.steps[0].inputs.push_back({InputKind::kInstruction, "", "copy"});
  }
  std::optional<Restored> restore_nothing() {
    build::StageInputs outline = inputs_;
    for (build::StepInputs& step : outline.steps) {
      std::erase_if(step.inputs, [](const build::KeyInput& input) { return input.kind == InputKind::kFile; });
    }
    auto restored = StageResults(plan_, places_).restore_nothing(0, outline, path("restored"), {});
    EXPECT_TRUE(restored.ok()) << restored.error().message;
    return restored.ok() ? std::move(*restored) : std::nullopt;
  }
};

TEST_F(WithoutFiles, NothingIsThereInAnEmptyPlace) {
  put_text(path("restored") / volume::kReplay, "of an earlier attempt");
  const auto restored = restore_nothing();
  ASSERT_TRUE(restored);
  EXPECT_FALSE(restored->report || restored->change);
  EXPECT_EQ(restored->steps, 0);
  EXPECT_FALSE(fs::exists(path("restored") / volume::kReplay));
}

struct Differing {
  const char* name;
  std::function<void(build::StageInputs& inputs)> change;
  bool may_be_there;
};
void PrintTo(const Differing& row, std::ostream* out) {
  *out << row.name;
}
class AfterAnotherBuild : public WithoutFiles, public testing::WithParamInterface<Differing> {};

TEST_P(AfterAnotherBuild, SkipsOnlyWhatNoKeyCanHave) {
  build_and_keep();
  GetParam().change(inputs_);
  const Restored full = restore();
  const auto skipped = restore_nothing();
  EXPECT_EQ(!skipped, GetParam().may_be_there);
  if (!skipped) return;
  EXPECT_FALSE(full.report);
  EXPECT_EQ(full.steps, 0);
  ASSERT_TRUE(skipped->change && full.change);
  EXPECT_EQ(skipped->change->what, full.change->what);
}

const Differing kDiffering[] = {
    {"Nothing", [](build::StageInputs&) {}, true},
    {"TheContentOfAFile", [](build::StageInputs& inputs) { inputs.steps[0].inputs[0].value = "2"; }, true},
    {"AFileThatIsNew",
     [](build::StageInputs& inputs) {
       inputs.steps[0].inputs.push_back({InputKind::kFile, "b.c", "1"});
     },
     true},
    {"TheSecondStep", [](build::StageInputs& inputs) { inputs.steps[1].inputs[0].value = "make all"; }, true},
    {"WhatLeavesTheStage", [](build::StageInputs& inputs) { inputs.end[0].value = "2"; }, true},
    {"TheFirstStep", [](build::StageInputs& inputs) { inputs.steps[0].inputs[1].value = "copy --chmod"; }, false},
    {"TheBase", [](build::StageInputs& inputs) { inputs.start[0].value = "2"; }, false}};
INSTANTIATE_TEST_SUITE_P(Rows, AfterAnotherBuild, testing::ValuesIn(kDiffering),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_F(WithoutFiles, TheFilesAreLookedAtWhenOnlyTheyCanSayWhatChanged) {
  build_and_keep();
  for (const auto& it : fs::directory_iterator(path("cache") / "outlines")) fs::remove(it);
  EXPECT_FALSE(restore_nothing());
}

TEST_F(WithoutFiles, NothingIsThereWhereNoPlaceIsRead) {
  build_and_keep();
  places_.from.clear();
  EXPECT_TRUE(restore_nothing());
}

TEST_F(WithoutFiles, APlaceThatCannotSayMayHaveIt) {
  BrokenStore other;
  places_.from.push_back(&other);
  EXPECT_FALSE(restore_nothing());
}

TEST_F(WithoutFiles, AFailedStageLeavesOutlinesOfTheStepsBefore) {
  api::StageReport report = make(path("built"));
  report.layers.pop_back();
  report.failure.emplace().step = 1;
  ASSERT_TRUE(keep(report, path("built")).ok());
  inputs_.steps[1].inputs[0].value = "make all";
  EXPECT_FALSE(restore_nothing());
  EXPECT_EQ(restore().steps, 1);
}

TEST_F(StageResultsTest, StopsWhenItIsAskedTo) {
  build_and_keep();
  std::stop_source stop;
  stop.request_stop();
  const auto restored = StageResults(plan_, places_).restore(0, inputs_, path("restored"), stop.get_token());
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace imagebuild::builder
