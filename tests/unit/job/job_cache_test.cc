// A cache between two builds: publish keeps the results of stages, prepare finds them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "api/volume.h"
#include "archive/compress.h"
#include "base/file.h"
#include "builder/job/keep_job.h"
#include "builder/job/prepare_job.h"
#include "builder/job/publish_job.h"
#include "fakes/fake_registry.h"
#include "fakes/no_processes.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// files ← work (has a RUN, which no test carries out) ← final; other is for itself.
constexpr const char* kDockerfile =
    "FROM scratch AS files\nCOPY a /a\n"
    "FROM scratch AS work\nCOPY --from=files /a /b\nRUN [\"/b\"]\n"
    "FROM scratch\nCOPY --from=work /b /c\nCOPY other /\n";

class JobCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("job-cache-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directories(mounts() / "cache");
    write(temp_->path() / "imagebuild-stage", "the program");
    write(mounts() / "cache-secret/config.json", "{}");
  }
  fs::path root() const { return temp_->path() / "volume"; }
  fs::path mounts() const { return temp_->path() / "mounts"; }
  fs::path stage_folder(int stage) const { return root() / volume::stage_folder(stage); }
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  json spec(const json& cache, const std::string& a = "1", const std::string& other = "x",
            const std::string& dockerfile = kDockerfile) const {
    return {{"source", {{"inline", {{"files", {{"Dockerfile", dockerfile}, {"a", a}, {"other", other}}}}}}},
            {"output", {{"image", registry_.host() + "/team/app:1"}}},
            {"cache", cache}};
  }
  json claim() const { return {{"persistentVolumeClaim", {{"claimName", "results"}}}}; }
  json repository() const {
    return {{"registry", {{"repository", registry_.host() + "/team/cache"}, {"secretRef", {{"name", "login"}}}}}};
  }

  Job job_of(const json& spec) {
    const json object = {{"metadata", {{"name", name_}, {"namespace", "team"}, {"uid", "1-2"}, {"generation", 1}}},
                         {"spec", spec}};
    StringSink packed;
    const auto sink = archive::compress_to(packed, archive::Compression::kGzip, 1);
    EXPECT_TRUE(sink->write(as_bytes(object.dump())).ok() && sink->finish().ok());
    write(mounts() / "job/imagebuild.json.gz", packed.text());
    auto build = read_job(mounts() / "job/imagebuild.json.gz");
    EXPECT_TRUE(build.ok()) << build.error().message;
    return build.ok() ? Job{std::move(*build), root(), mounts()} : Job{};
  }
  // On a volume of its own, as each build has it.
  api::Told prepare(const json& spec) {
    fs::remove_all(root());
    fs::create_directories(root());
    PrepareJob request;
    request.job = job_of(spec);
    request.stage_program = temp_->path() / "imagebuild-stage";
    api::Told told = prepare_job(request, processes_, {});
    EXPECT_FALSE(told.failure) << told.failure->message;
    return told;
  }
  // What the pod of `work` would leave.
  void run_work() {
    api::StageReport report;
    report.stage = "work";
    report.export_bytes = 1;
    ASSERT_TRUE(fs::exists(stage_folder(0) / volume::kReport));
    // Its export is that of `files`, by another name: what is in it does not matter here, only that it is the same.
    fs::create_directories(stage_folder(1) / "exports");
    for (const char* file : {volume::kExportTar, volume::kExportIndex}) {
      fs::copy_file(temp_->path() / "made" / fs::path(file).filename(), stage_folder(1) / file);
    }
    write(stage_folder(1) / volume::kReport, report.json());
  }
  // An export with /b, made by a computed stage.
  void make_export() {
    const api::Told told = prepare(spec({{"disabled", true}}, "1", "x",
                                        "FROM scratch AS made\nCOPY a /b\nFROM scratch AS user\nCOPY --from=made /b "
                                        "/b\nRUN [\"/b\"]\nFROM scratch\nCOPY --from=user /b /\n"));
    ASSERT_TRUE(told.done);
    fs::create_directories(temp_->path() / "made");
    for (const char* file : {volume::kExportTar, volume::kExportIndex}) {
      fs::copy_file(stage_folder(0) / file, temp_->path() / "made" / fs::path(file).filename(),
                    fs::copy_options::overwrite_existing);
    }
  }
  api::Told publish(const json& spec) {
    PublishJob request;
    request.job = job_of(spec);
    request.stage_program = temp_->path() / "imagebuild-stage";
    api::Told told = publish_job(request, processes_, {});
    EXPECT_FALSE(told.failure) << told.failure->message;
    return told;
  }
  api::Told keep(const json& spec, std::vector<int> stages) {
    KeepJob request;
    request.job = job_of(spec);
    request.stage_program = temp_->path() / "imagebuild-stage";
    request.stages = std::move(stages);
    return keep_job(request, processes_, {});
  }
  api::Told build(const json& spec) {
    make_export();
    prepare(spec);
    run_work();
    return publish(spec);
  }

  std::optional<TempDir> temp_;
  std::string name_ = "app";  // Of the ImageBuild.
  fakes::FakeRegistry registry_;
  fakes::NoProcesses processes_;
};

TEST_F(JobCacheTest, TheSecondBuildHasEveryStageAndTheSameImage) {
  for (const json& cache : {claim(), repository()}) {
    const api::Told first = build(spec(cache));
    EXPECT_THAT(first.warnings, IsEmpty());
    const api::Told prepared = prepare(spec(cache));
    EXPECT_THAT(prepared.cached, ElementsAre(0, 1, 2)) << cache;
    EXPECT_THAT(prepared.changed, IsEmpty());
    const api::Told second = publish(spec(cache));
    ASSERT_TRUE(first.image && second.image);
    EXPECT_EQ(first.image->digest, second.image->digest);
  }
}

TEST_F(JobCacheTest, ABuildThatFailedLeavesWhatWasDoneToTheNextOne) {
  for (const json& cache : {claim(), repository()}) {
    make_export();
    prepare(spec(cache));
    run_work();
    const auto images = registry_.count("PUT", "/team/app/");
    const api::Told kept = keep(spec(cache), {0, 1, 2});
    EXPECT_TRUE(kept.done) << kept.failure->message;
    EXPECT_THAT(kept.warnings, IsEmpty());
    EXPECT_EQ(registry_.count("PUT", "/team/app/"), images) << "no image is pushed";
    EXPECT_THAT(prepare(spec(cache, "1", "y")).cached, ElementsAre(0, 1)) << cache;
  }
}

TEST_F(JobCacheTest, OnlyStagesThatTheOperatorKnowsToBeOverAreKept) {
  make_export();
  prepare(spec(claim()));
  run_work();
  EXPECT_TRUE(keep(spec(claim()), {0}).done);
  EXPECT_THAT(prepare(spec(claim())).cached, ElementsAre(0));
}

TEST_F(JobCacheTest, OfAStageThatFailedTheStepsBeforeAreKept) {
  const std::string dockerfile = "FROM scratch\nCOPY a /a\nRUN [\"/a\"]\nCOPY other /\n";
  const auto with = [&](const char* other) { return spec(claim(), "1", other, dockerfile); };
  prepare(with("x"));
  // What the pod would leave whose RUN failed: the layer of the step before.
  const std::string layer = "a layer";
  write(stage_folder(0) / volume::layer_file(0, ".tar.gz"), layer);
  api::StageReport report;
  report.stage = "0";
  report.layers = {{.step = 0,
                    .file = volume::layer_file(0, ".tar.gz"),
                    .diff_id = oci::Digest::of("tar").str(),
                    .digest = oci::Digest::of(layer).str(),
                    .size_bytes = layer.size()}};
  report.failure = api::Failure{.stage = "0", .step = 1, .code = "Failed", .message = "RUN /a failed"};
  write(stage_folder(0) / volume::kReport, report.json());
  EXPECT_TRUE(keep(with("x"), {0}).done);
  EXPECT_THAT(prepare(with("x")).cached, IsEmpty());
  const auto replay = read_file(stage_folder(0) / volume::kReplay, 1 << 20);
  ASSERT_TRUE(replay.ok()) << replay.error().message;
  EXPECT_EQ(api::StageReport::parse(*replay)->cached_steps, 1);
}

TEST_F(JobCacheTest, WhatCannotBeKeptOfAFailedBuildIsAWarning) {
  const json nowhere = {{"registry", {{"repository", "127.0.0.1:1/team/cache"}}}};
  make_export();
  prepare(spec(nowhere));
  run_work();
  const api::Told kept = keep(spec(nowhere), {0, 1});
  EXPECT_TRUE(kept.done);
  ASSERT_EQ(kept.warnings.size(), 1U);
  EXPECT_THAT(kept.warnings[0].message, HasSubstr("127.0.0.1:1/team/cache"));
}

TEST_F(JobCacheTest, AVolumeWithoutAPlanHasNothingToKeep) {
  fs::create_directories(root());
  const api::Told kept = keep(spec(claim()), {0});
  ASSERT_TRUE(kept.failure);
  EXPECT_THAT(kept.failure->message, HasSubstr("the artifact volume"));
}

TEST_F(JobCacheTest, NothingIsLeftToDoWhereTheTagsNameTheImageAlready) {
  const api::Told first = build(spec(claim()));
  const api::Told again = prepare(spec(claim()));
  EXPECT_TRUE(again.done);
  EXPECT_EQ(again.image, first.image);
  EXPECT_FALSE(fs::exists(root() / "bin")) << "no pod comes after this one";

  json with_tag = spec(claim());
  with_tag["output"]["additionalTags"] = {"latest"};
  EXPECT_FALSE(prepare(with_tag).image) << "not every tag is there";
  publish(with_tag);
  EXPECT_TRUE(prepare(with_tag).image);

  json labelled = spec(claim());
  labelled["output"]["labels"] = {{"team", "a"}};
  EXPECT_FALSE(prepare(labelled).image) << "the tag names another image";
  EXPECT_FALSE(prepare(spec(claim(), "2")).image) << "a stage has to run";
}

// The layer of the image, by the report that prepare put on the volume.
class JobCacheLayerTest : public JobCacheTest {
 protected:
  api::LayerReport layer() const {
    const auto report = api::StageReport::parse(*read_file(stage_folder(2) / volume::kReport, 1 << 20));
    return report.ok() && !report->layers.empty() ? report->layers.front() : api::LayerReport();
  }
  bool is_on_the_volume() const { return fs::exists(stage_folder(2) / layer().file); }
  std::size_t fetched() { return registry_.count("GET", "/team/cache/blobs/" + layer().digest); }
  json labelled(const json& cache) const {
    json changed = spec(cache);
    changed["output"]["labels"] = {{"team", "a"}};
    return changed;
  }
  static std::string elsewhere_in(const json& cache) {
    return cache.contains("registry") ? "team/other" : "team/another";
  }
  json elsewhere(const json& cache) const {
    json changed = spec(cache);
    changed["output"]["image"] = registry_.host() + "/" + elsewhere_in(cache) + ":1";
    return changed;
  }
};

TEST_F(JobCacheLayerTest, NoLayerIsFetchedForAnImageThatIsThere) {
  build(spec(repository()));
  EXPECT_TRUE(prepare(spec(repository())).image);
  EXPECT_FALSE(is_on_the_volume());
  EXPECT_EQ(fetched(), 0U);
}

TEST_F(JobCacheLayerTest, NoLayerIsFetchedThatTheRepositoryOfTheImageHas) {
  for (const json& cache : {repository(), claim()}) {
    const api::Told first = build(spec(cache));
    EXPECT_THAT(prepare(labelled(cache)).cached, ElementsAre(0, 1, 2));
    EXPECT_FALSE(is_on_the_volume());
    const api::Told second = publish(labelled(cache));
    ASSERT_TRUE(second.image);
    EXPECT_NE(second.image->digest, first.image->digest);
    EXPECT_THAT(second.warnings, IsEmpty());
    EXPECT_EQ(fetched(), 0U);
  }
}

TEST_F(JobCacheLayerTest, ALayerThatHasToBePushedIsFetchedOnce) {
  build(spec(repository()));
  EXPECT_THAT(prepare(elsewhere(repository())).cached, ElementsAre(0, 1, 2));
  EXPECT_TRUE(is_on_the_volume());
  EXPECT_TRUE(publish(elsewhere(repository())).image);
  EXPECT_EQ(fetched(), 1U);
}

TEST_F(JobCacheLayerTest, ALayerThatIsGoneFromTheRepositoryWhenPublishComesIsFetchedThen) {
  for (const json& cache : {repository(), claim()}) {
    build(spec(cache));
    prepare(labelled(cache));
    ASSERT_FALSE(is_on_the_volume());
    EXPECT_TRUE(publish(elsewhere(cache)).image);
    EXPECT_TRUE(is_on_the_volume());
    EXPECT_TRUE(registry_.blob(elsewhere_in(cache), *oci::Digest::parse(layer().digest)));
  }
}

TEST_F(JobCacheLayerTest, AStageWhoseLayerACacheHasLostIsMadeAgain) {
  build(spec(repository()));
  prepare(spec(repository()));
  registry_.inject({.method = "GET", .path_part = "/team/cache/blobs/" + layer().digest, .times = 9, .status = 404});
  EXPECT_THAT(prepare(elsewhere(repository())).cached, ElementsAre(0, 1));
  EXPECT_TRUE(publish(elsewhere(repository())).image);
}

TEST_F(JobCacheTest, AnImageThatIsThereIsNotPushedAgain) {
  const json cache = claim();
  build(spec(cache));
  prepare(spec({{"disabled", true}}));
  run_work();
  const auto puts = [&] { return registry_.count("PUT", ""); };
  const auto before = puts();
  EXPECT_TRUE(publish(spec({{"disabled", true}})).image);
  EXPECT_EQ(puts(), before);
}

TEST_F(JobCacheTest, PublishWaitsForTheStagesThatStillRun) {
  const json no_cache = spec({{"disabled", true}});
  make_export();
  prepare(no_cache);
  PublishJob request;
  request.job = job_of(no_cache);
  request.wait = true;
  int looks = 0;
  request.pause = [&](const std::stop_token&) {
    if (++looks == 1) {
      api::StageReport lost;
      lost.failure = api::Failure{.stage = "work", .code = "Exhausted", .message = "the disk is full"};
      write(stage_folder(1) / volume::kReport, lost.json());
    }
    if (looks == 3) run_work();
  };
  const api::Told told = publish_job(request, processes_, {});
  EXPECT_TRUE(told.image) << told.failure->message;
  EXPECT_EQ(looks, 3);
}

TEST_F(JobCacheTest, AChangedFileRebuildsWhatDependsOnItAndSaysSo) {
  build(spec(claim()));
  const api::Told other = prepare(spec(claim(), "1", "y"));
  EXPECT_THAT(other.cached, ElementsAre(0, 1));
  EXPECT_THAT(other.changed, ElementsAre(Pair(2, HasSubstr("other"))));
  const api::Told first = prepare(spec(claim(), "2"));
  EXPECT_THAT(first.cached, IsEmpty());
  EXPECT_THAT(first.changed, testing::Contains(Pair(0, HasSubstr("a"))));
  EXPECT_TRUE(fs::exists(stage_folder(0) / volume::kReport)) << "computed, for a pod needs it";
  EXPECT_FALSE(fs::exists(stage_folder(1) / volume::kReport));
}

TEST_F(JobCacheTest, ABuildThatFoundEverythingKnowsLaterWhatChanged) {
  build(spec(claim()));
  name_ = "another";
  prepare(spec(claim()));
  publish(spec(claim()));
  EXPECT_THAT(prepare(spec(claim(), "1", "y")).changed, ElementsAre(Pair(2, HasSubstr("other"))));
}

TEST_F(JobCacheTest, AnotherBuilderProgramMakesOtherResults) {
  build(spec(claim()));
  write(temp_->path() / "imagebuild-stage", "another program");
  EXPECT_THAT(prepare(spec(claim())).cached, IsEmpty());
}

TEST_F(JobCacheTest, ADisabledCacheIsNeitherReadNorWritten) {
  json disabled = claim();
  disabled["disabled"] = true;
  build(spec(disabled));
  EXPECT_TRUE(fs::is_empty(mounts() / "cache"));
  build(spec(claim()));
  EXPECT_THAT(prepare(spec(disabled)).cached, IsEmpty());
}

TEST_F(JobCacheTest, ABrokenCacheIsAWarningAndTheImageIsMade) {
  const json nowhere = {{"registry", {{"repository", "127.0.0.1:1/team/cache"}}}};
  const api::Told told = build(spec(nowhere));
  ASSERT_TRUE(told.image);
  ASSERT_EQ(told.warnings.size(), 1U);
  EXPECT_THAT(told.warnings[0].message, HasSubstr("127.0.0.1:1/team/cache"));
  const auto plan = api::Plan::parse(prepare(spec(nowhere)).plan_json);
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->warnings, testing::Contains(testing::Field(&api::Warning::message, HasSubstr("127.0.0.1:1"))));
}

TEST_F(JobCacheTest, AClaimThatIsNotMountedIsAWarning) {
  fs::remove_all(mounts() / "cache");
  const api::Told told = build(spec(claim()));
  ASSERT_EQ(told.warnings.size(), 1U);
  EXPECT_THAT(told.warnings[0].message, HasSubstr("the claim 'results' is not mounted"));
  EXPECT_FALSE(fs::exists(mounts() / "cache"));
}

TEST_F(JobCacheTest, WhatIsTooMuchGoes) {
  json small = claim();
  small["maxSize"] = "1";
  build(spec(small));
  EXPECT_THAT(prepare(spec(small)).cached, IsEmpty());
}

}  // namespace
}  // namespace imagebuild::builder
