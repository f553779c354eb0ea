// prepare and publish for an ImageBuild, from its gzipped JSON to the image in a registry; stages that need a container
// are not run here.
#include "builder/job/job.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "api/job.h"
#include "api/volume.h"
#include "archive/compress.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "builder/job/prepare_job.h"
#include "builder/job/publish_job.h"
#include "fakes/fake_registry.h"
#include "fakes/no_processes.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class JobTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("job-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directories(root());
    fs::create_directories(mounts());
    write(temp_->path() / "imagebuild-stage", "the program");
  }
  fs::path root() const { return temp_->path() / "volume"; }
  fs::path mounts() const { return temp_->path() / "mounts"; }
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::string text_of(const fs::path& path) {
    const auto text = read_file(path, 1U << 20);
    return text.ok() ? *text : text.error().message;
  }

  json spec_of(json files) const {
    return {{"source", {{"inline", {{"files", std::move(files)}}}}},
            {"output", {{"image", registry_.host() + "/team/app:1"}}}};
  }
  // Through the file, as the operator hands it over.
  Result<Job> job_of(const json& spec) {
    const json object = {{"apiVersion", "imagebuild.dev/v1alpha1"},
                         {"kind", "ImageBuild"},
                         {"metadata", {{"name", "app"}, {"namespace", "team"}, {"uid", "1-2"}, {"generation", 1}}},
                         {"spec", spec}};
    StringSink packed;
    const auto sink = archive::compress_to(packed, archive::Compression::kGzip, 1);
    EXPECT_TRUE(sink->write(as_bytes(object.dump())).ok());
    EXPECT_TRUE(sink->finish().ok());
    write(mounts() / "job/imagebuild.json.gz", packed.text());
    auto build = read_job(mounts() / "job/imagebuild.json.gz");
    if (!build.ok()) return build.error();
    return Job{std::move(*build), root(), mounts()};
  }
  api::Told prepare(const json& spec, std::stop_token stop = {}) {
    auto job = job_of(spec);
    if (!job.ok()) return api::Told{.failure = failure_of(job.error(), "")};
    PrepareJob request;
    request.job = std::move(*job);
    request.stage_program = temp_->path() / "imagebuild-stage";
    request.on_progress = [&](const api::Told& told) { progress_.push_back(told); };
    return prepare_job(request, processes_, stop);
  }
  api::Told publish(const json& spec) {
    auto job = job_of(spec);
    if (!job.ok()) return api::Told{.failure = failure_of(job.error(), "")};
    PublishJob request;
    request.job = std::move(*job);
    return publish_job(request, processes_, {});
  }
  std::optional<oci::Manifest> pushed(const std::string& tag) {
    const auto text = registry_.manifest("team/app", tag);
    if (!text) return std::nullopt;
    const auto manifest = oci::Manifest::parse(*text);
    return manifest.ok() ? std::optional(*manifest) : std::nullopt;
  }

  std::optional<TempDir> temp_;
  fakes::FakeRegistry registry_;
  fakes::NoProcesses processes_;  // No stage of these tests starts a program.
  std::vector<api::Told> progress_;
};

TEST_F(JobTest, AnImageOfFilesNeedsNoPodBetweenPrepareAndPublish) {
  const json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY greeting /\n"}, {"greeting", "hello\n"}});
  const api::Told prepared = prepare(spec);
  ASSERT_FALSE(prepared.failure) << prepared.failure->message;
  EXPECT_TRUE(prepared.done);
  EXPECT_EQ(exit_status_of(prepared), kExitOk);
  EXPECT_EQ(prepared.plan_json, text_of(root() / volume::kPlan));
  ASSERT_TRUE(prepared.source);
  EXPECT_TRUE(oci::Digest::parse(prepared.source->digest).ok());
  EXPECT_FALSE(fs::exists(root() / "bin"));

  const api::Told published = publish(spec);
  ASSERT_FALSE(published.failure) << published.failure->message;
  ASSERT_TRUE(published.done && published.image);
  EXPECT_EQ(published.image->reference, registry_.host() + "/team/app:1@" + published.image->digest);
  EXPECT_EQ(published.image->layers, 1);
  const auto manifest = pushed("1");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(static_cast<std::uint64_t>(published.image->size_bytes),
            manifest->config.size_bytes + manifest->layers[0].size_bytes);
}

TEST_F(JobTest, PublishingAgainGivesTheSameImage) {
  const json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY greeting /\n"}, {"greeting", "hello\n"}});
  ASSERT_TRUE(prepare(spec).done);
  const api::Told first = publish(spec);
  const api::Told second = publish(spec);
  ASSERT_TRUE(first.image && second.image);
  EXPECT_EQ(*first.image, *second.image);
}

TEST_F(JobTest, AComputedStageThatFailedBeforeIsTriedAgain) {
  const json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY greeting /\n"}, {"greeting", "hello\n"}});
  ASSERT_TRUE(prepare(spec).done);
  api::StageReport lost;
  lost.stage = "0";
  lost.failure = api::Failure{.stage = "0", .code = "Exhausted", .message = "the disk is full"};
  write(root() / volume::stage_folder(0) / volume::kReport, lost.json());
  EXPECT_TRUE(publish(spec).done);
}

TEST_F(JobTest, LabelsAnnotationsAndTagsOfTheOutputAreInTheImage) {
  json spec = spec_of({{"Dockerfile", "FROM scratch\nLABEL team=a keep=yes\nCOPY greeting /\n"}, {"greeting", "hi"}});
  spec["output"]["labels"] = {{"team", "b"}, {"new", "1"}};
  spec["output"]["annotations"] = {{"org.opencontainers.image.source", "https://git.example/app"}};
  spec["output"]["additionalTags"] = {"1.0", "latest"};
  spec["output"]["compression"] = "zstd";
  ASSERT_TRUE(prepare(spec).done);
  const api::Told told = publish(spec);
  ASSERT_TRUE(told.image) << told.failure->message;
  for (const char* tag : {"1", "1.0", "latest"}) {
    const auto manifest = pushed(tag);
    ASSERT_TRUE(manifest) << tag;
    EXPECT_EQ(manifest->annotations.at("org.opencontainers.image.source"), "https://git.example/app");
    EXPECT_EQ(manifest->layers[0].media_type, oci::media_type::kOciLayerZstd);
    const auto config = oci::ImageConfig::parse(*registry_.blob("team/app", manifest->config.digest));
    ASSERT_TRUE(config.ok());
    EXPECT_EQ(config->config.labels,
              (std::map<std::string, std::string>{{"team", "b"}, {"keep", "yes"}, {"new", "1"}}));
  }
}

TEST_F(JobTest, ARetriedPrepareFindsNothingOfTheLastAttempt) {
  const json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY greeting /\n"}, {"greeting", "hello\n"}});
  const auto leftovers = {"context/context.tar", "bases/7.index", "stages/0/report.json", "plan.json", "bin/other"};
  for (const char* path : leftovers) write(root() / path, "old");
  write(root() / "lost+found/kept", "not ours");
  ASSERT_TRUE(prepare(spec).done);
  EXPECT_FALSE(fs::exists(root() / "bases/7.index"));
  EXPECT_FALSE(fs::exists(root() / "stages/0/report.json"));
  EXPECT_FALSE(fs::exists(root() / "bin/other"));
  EXPECT_TRUE(fs::exists(root() / "lost+found/kept"));
}

TEST_F(JobTest, OnlyWhatPodsNeedIsComputedByPrepare) {
  const json spec =
      spec_of({{"Dockerfile",
                "FROM scratch AS files\nCOPY a /\nFROM scratch AS work\nCOPY --from=files /a /b\nRUN [\"/b\"]\n"
                "FROM scratch\nCOPY --from=work /b /c\n"},
               {"a", "1"}});
  ASSERT_TRUE(prepare(spec).done);
  EXPECT_TRUE(fs::exists(root() / "stages/0/report.json"));
  EXPECT_FALSE(fs::exists(root() / "stages/1/report.json"));
  EXPECT_FALSE(fs::exists(root() / "stages/2/report.json"));
  const api::Told told = publish(spec);
  ASSERT_TRUE(told.failure);
  EXPECT_EQ(told.failure->code, "Internal") << "a stage that has not run is not the user's fault";
  EXPECT_THAT(told.failure->message, HasSubstr("stage 'work' has not run"));
  EXPECT_EQ(exit_status_of(told), kExitInfrastructure);
}

TEST_F(JobTest, TheDigestFollowsContentAndDockerfileButNotTime) {
  const auto digest_of = [&](json files) {
    const api::Told told = prepare(spec_of(std::move(files)));
    return told.source ? told.source->digest : "";
  };
  const std::string dockerfile = "FROM scratch\nCOPY . /\n";
  const std::string first = digest_of({{"Dockerfile", dockerfile}, {"a", "1"}});
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(digest_of({{"Dockerfile", dockerfile}, {"a", "1"}}), first);
  EXPECT_NE(digest_of({{"Dockerfile", dockerfile}, {"a", "2"}}), first);
  EXPECT_NE(digest_of({{"Dockerfile", dockerfile}, {"b", "1"}}), first);
  EXPECT_NE(digest_of({{"Dockerfile", dockerfile + "LABEL a=1\n"}, {"a", "1"}}), first);
}

TEST_F(JobTest, ProgressTellsOfTheSourceBeforeTheEnd) {
  ASSERT_TRUE(prepare(spec_of({{"Dockerfile", "FROM scratch\nCOPY a /\n"}, {"a", "1"}})).done);
  ASSERT_FALSE(progress_.empty());
  EXPECT_TRUE(progress_.back().source);
  EXPECT_FALSE(progress_.back().done);
}

TEST_F(JobTest, CredentialsComeFromTheMountsInOrder) {
  json spec = spec_of({{"Dockerfile", "FROM scratch\n"}});
  spec["imagePullSecrets"] = {{{"name", "a"}}, {{"name", "b"}}};
  spec["output"]["pushSecretRef"] = {{"name", "push"}};
  spec["output"]["insecure"] = true;
  for (const char* number : {"0", "2", "3"}) write(mounts() / "registry" / number / "config.json", "{}");
  const auto job = job_of(spec);
  ASSERT_TRUE(job.ok()) << job.error().message;
  const RegistryOptions options = job_registries(*job, "");
  EXPECT_THAT(*options.credentials,
              ElementsAre(mounts() / "registry/0/config.json", mounts() / "registry/2/config.json"));
  EXPECT_THAT(options.untrusted, ElementsAre(registry_.host()));
}

TEST_F(JobTest, AnInsecureRegistryIsReachedWhateverItSpeaks) {
  fakes::FakeRegistry with_tls({.identity = fakes::TlsIdentity::make()});
  fakes::FakeRegistry without;
  for (fakes::FakeRegistry* registry : {&with_tls, &without}) {
    json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY a /\n"}, {"a", "1"}});
    spec["output"] = {{"image", registry->host() + "/team/app:1"}, {"insecure", true}};
    ASSERT_TRUE(prepare(spec).done);
    const api::Told told = publish(spec);
    EXPECT_TRUE(told.done) << told.failure->message;
    EXPECT_TRUE(registry->manifest("team/app", "1"));
  }
}

struct FailureRow {
  const char* name;
  json change;  // Merged into the spec.
  json files;
  const char* code;
  int line;
  const char* message;
};

class FailureTest : public JobTest, public testing::WithParamInterface<FailureRow> {};

TEST_P(FailureTest, SaysWhatAndWhere) {
  json spec = spec_of(GetParam().files);
  spec.merge_patch(GetParam().change);
  const api::Told told = prepare(spec);
  ASSERT_TRUE(told.failure);
  EXPECT_FALSE(told.done);
  EXPECT_TRUE(told.plan_json.empty());
  EXPECT_EQ(told.failure->code, GetParam().code);
  EXPECT_EQ(told.failure->at.line, GetParam().line);
  EXPECT_THAT(told.failure->message, HasSubstr(GetParam().message));
  EXPECT_THAT(told.failure->message, testing::Not(HasSubstr("\n")));
  EXPECT_THAT(told.failure->message, testing::Not(HasSubstr("imagebuild-source-"))) << "nobody knows that folder";
  EXPECT_EQ(exit_status_of(told), kExitFailed);
}

INSTANTIATE_TEST_SUITE_P(
    Failures, FailureTest,
    testing::Values(
        FailureRow{"UnknownInstruction",
                   json::object(),
                   {{"Dockerfile", "FROM scratch\nRUNN true\n"}},
                   "InvalidInput",
                   2,
                   "Dockerfile:2:1: unknown instruction"},
        FailureRow{"MissingFileToCopy",
                   json::object(),
                   {{"Dockerfile", "FROM scratch AS a\nCOPY none /\nFROM scratch\nCOPY --from=a / /\nRUN [\"/x\"]\n"}},
                   "NotFound",
                   2,
                   "Dockerfile:2:1: stage 'a': "},
        FailureRow{"NoDockerfile",
                   json::object(),
                   {{"docker/Dockerfile", "FROM scratch\n"}},
                   "NotFound",
                   0,
                   "there is no 'Dockerfile' in the source, which has only 'docker'"},
        FailureRow{"DockerfileByAnotherName",
                   {{"dockerfile", "build/app.df"}},
                   {{"build/app.df", "FROM scratch\nX\n"}},
                   "InvalidInput",
                   2,
                   "build/app.df:2:1: "},
        FailureRow{"InlineDockerfile",
                   {{"dockerfileInline", "FROM scratch\n\nX\n"}},
                   {{"Dockerfile", "FROM scratch\n"}},
                   "InvalidInput",
                   3,
                   "Dockerfile:3:1: "},
        FailureRow{"NoSubPath",
                   {{"source", {{"subPath", "app"}}}},
                   {{"Dockerfile", "FROM scratch\n"}},
                   "NotFound",
                   0,
                   "there is no folder 'app' (subPath) in the source"},
        FailureRow{
            "BadSpec", {{"target", "a b"}}, {{"Dockerfile", "FROM scratch\n"}}, "InvalidInput", 0, "spec.target"}),
    [](const auto& row) { return row.param.name; });

TEST_F(JobTest, SeveralPlatformsBecomeAnIndex) {
  json spec = spec_of({{"Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /app\n"},
                       {"amd64", "for amd64"},
                       {"arm64", "for arm64"}});
  spec["platforms"] = {"linux/amd64", "linux/arm64"};
  const api::Told prepared = prepare(spec);
  ASSERT_FALSE(prepared.failure) << prepared.failure->message;
  const api::Told published = publish(spec);
  ASSERT_FALSE(published.failure) << published.failure->message;
  const auto text = registry_.manifest("team/app", "1");
  ASSERT_TRUE(text.has_value());
  const auto index = oci::Index::parse(*text);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_EQ(published.image->digest, oci::Digest::of(*text).str());
  EXPECT_EQ(published.image->layers, 2);
  ASSERT_EQ(index->manifests.size(), 2U);
  std::int64_t bytes = 0;
  for (const oci::Descriptor& entry : index->manifests) {
    const auto manifest = oci::Manifest::parse(registry_.manifest("team/app", entry.digest.str()).value_or(""));
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    bytes += static_cast<std::int64_t>(manifest->config.size_bytes + manifest->layers.at(0).size_bytes);
  }
  EXPECT_EQ(published.image->size_bytes, bytes);
  EXPECT_EQ(index->manifests[1].platform->str(), "linux/arm64");
}

TEST_F(JobTest, AnExcerptOfTheDockerfileBecomesTheLog) {
  const api::Told told = prepare(spec_of({{"Dockerfile", "FROM scratch\nRUNN true\n"}}));
  ASSERT_TRUE(told.failure);
  EXPECT_THAT(told.failure->log_tail, ElementsAre(HasSubstr("2 | RUNN true"), HasSubstr("^")));
}

TEST_F(JobTest, SubPathIsTheContext) {
  json spec = spec_of({{"app/Dockerfile", "FROM scratch\nCOPY . /\n"}, {"app/a", "1"}, {"other", "2"}});
  spec["source"]["subPath"] = "app";
  const api::Told told = prepare(spec);
  ASSERT_FALSE(told.failure) << told.failure->message;
  const auto index = archive::TreeIndex::load(root() / volume::kContextIndex);
  ASSERT_TRUE(index.ok());
  EXPECT_NE(index->find("a"), nullptr);
  EXPECT_EQ(index->find("other"), nullptr);
}

TEST_F(JobTest, NamedContextsAndRunSettingsReachThePlan) {
  json spec = spec_of({{"Dockerfile", "FROM scratch\nCOPY --from=deps sub /\nCOPY --from=config key /\n"}});
  spec["contexts"] = {{{"name", "deps"}, {"inline", {{"files", {{"sub/a", "1"}}}}}},
                      {{"name", "config"}, {"configMapRef", {{"name", "files"}}}},
                      {{"name", "unused"}, {"image", "busybox:1.35"}}};
  spec["extraHosts"] = {{{"ip", "10.0.0.7"}, {"hostnames", {"db"}}}};
  write(mounts() / "contexts/1/key", "value");
  const api::Told prepared = prepare(spec);
  ASSERT_FALSE(prepared.failure) << prepared.failure->message;
  const auto plan = api::Plan::parse(prepared.plan_json);
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->trees.size(), 2U);
  ASSERT_EQ(plan->run.hosts.size(), 1U);
  EXPECT_EQ(plan->run.hosts[0].name, "db");
  ASSERT_EQ(plan->warnings.size(), 1U);
  EXPECT_THAT(plan->warnings[0].message, HasSubstr("'unused' is not used"));
  const auto index = archive::TreeIndex::load(root() / volume::tree_index(1));
  ASSERT_TRUE(index.ok());
  EXPECT_NE(index->find("key"), nullptr);
  const api::Told published = publish(spec);
  ASSERT_FALSE(published.failure) << published.failure->message;
}

TEST_F(JobTest, BuildArgumentsReachTheDockerfile) {
  json spec = spec_of({{"Dockerfile", "FROM scratch\nARG VERSION\nLABEL version=$VERSION\nCOPY a /\n"}, {"a", "1"}});
  spec["buildArgs"] = {{{"name", "VERSION"}, {"value", "1.2"}}};
  const api::Told told = prepare(spec);
  ASSERT_FALSE(told.failure) << told.failure->message;
  EXPECT_THAT(told.plan_json, HasSubstr("1.2"));
}

TEST_F(JobTest, AStopEndsPrepareAsCancelled) {
  const auto stop = std::make_unique<std::stop_source>();  // On the heap: g++ 12 warns wrongly otherwise.
  stop->request_stop();
  const api::Told told = prepare(spec_of({{"Dockerfile", "FROM scratch\nCOPY a /\n"}, {"a", "1"}}), stop->get_token());
  ASSERT_TRUE(told.failure);
  EXPECT_EQ(told.failure->code, "Cancelled");
  EXPECT_EQ(exit_status_of(told), kExitInfrastructure);
}

}  // namespace
}  // namespace imagebuild::builder
