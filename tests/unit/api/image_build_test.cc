#include "api/image_build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/reasons.h"
#include "base/timestamp.h"

namespace imagebuild::api {
namespace {

using nlohmann::json;

json hello() {
  return json::parse(R"({
    "apiVersion": "imagebuild.dev/v1alpha1", "kind": "ImageBuild",
    "metadata": {"name": "hello", "namespace": "apps", "uid": "u-1", "generation": 3, "resourceVersion": "77",
                 "creationTimestamp": "2024-05-01T12:00:00Z"},
    "spec": {"source": {"inline": {"files": {"Dockerfile": "FROM scratch\n"}}},
             "output": {"image": "registry.example/hello:1"},
             "stages": [{"name": "build", "resources": {"limits": {"cpu": 2, "memory": "1Gi"}},
                         "affinity": {"nodeAffinity": {}}}],
             "retries": 0}})");
}

TEST(ImageBuild, ReadsWhatTheServerSends) {
  const auto build = ImageBuild::parse(hello().dump());
  ASSERT_TRUE(build.ok()) << build.error().message;
  EXPECT_EQ(build->ns, "apps");
  EXPECT_EQ(build->name, "hello");
  EXPECT_EQ(build->uid, "u-1");
  EXPECT_EQ(build->generation, 3);
  EXPECT_EQ(build->resource_version, "77");
  EXPECT_FALSE(build->deleting);
  EXPECT_EQ(time_text(build->created), "2024-05-01T12:00:00Z");
  ASSERT_FALSE(build->spec_error) << build->spec_error->message;
  ASSERT_TRUE(build->spec.source.inline_files);
  EXPECT_EQ(build->spec.source.inline_files->files.at("Dockerfile"), "FROM scratch\n");
  EXPECT_EQ(build->spec.stages.at(0).pod.resources.limits.at("cpu").text, "2");
  EXPECT_EQ(build->spec.stages.at(0).pod.affinity.text, R"({"nodeAffinity":{}})");
  EXPECT_EQ(build->spec.retries, 0);
  EXPECT_FALSE(build->spec.ttl_seconds_after_finished);
}

TEST(ImageBuild, IgnoresMembersOfNewerVersions) {
  json document = hello();
  document["spec"]["surprises"] = json::array({"linux/arm64"});
  document["status"]["phase"] = "Dreaming";
  document["status"]["observedGeneration"] = 2;
  document["status"]["warnings"] = json::array({"a text, as earlier operators wrote them"});
  const auto build = ImageBuild::parse(document.dump());
  ASSERT_TRUE(build.ok());
  EXPECT_FALSE(build->spec_error);
  EXPECT_EQ(build->status.phase, BuildPhase::kNone);
  EXPECT_EQ(build->status.observed_generation, 2);
  EXPECT_TRUE(build->status.warnings.empty());
}

TEST(ImageBuild, TakesNullForAbsent) {
  json document = hello();
  document["spec"]["timeout"] = nullptr;
  document["spec"]["source"]["git"] = nullptr;
  const auto build = ImageBuild::parse(document.dump());
  ASSERT_TRUE(build.ok());
  EXPECT_FALSE(build->spec_error);
  EXPECT_FALSE(build->spec.source.git);
}

TEST(ImageBuild, NamesTheFieldOfTheWrongType) {
  const struct {
    const char* pointer;
    json value;
    const char* message;
  } rows[] = {
      {"/spec/output/image", 7, "spec.output.image must be a text"},
      {"/spec/output/insecure", "yes", "spec.output.insecure must be true or false"},
      {"/spec/output/compression", "brotli", "spec.output.compression must be one of gzip, zstd"},
      {"/spec/artifacts/transport", 1, "spec.artifacts.transport must be one of Volume, Registry"},
      {"/spec/retries", "2", "spec.retries must be a whole number"},
      {"/spec/retries", 1.5, "spec.retries must be a whole number"},
      {"/spec/stages", json::object(), "spec.stages must be a list"},
      {"/spec/stages/0/name", true, "spec.stages[0].name must be a text"},
      {"/spec/stages/0", "build", "spec.stages[0] must be an object"},
      {"/spec/stages/0/affinity", "none", "spec.stages[0].affinity must be an object"},
      {"/spec/stages/0/resources/limits/cpu", json::array(),
       "spec.stages[0].resources.limits.cpu must be a quantity such as 500m or 2Gi"},
      {"/spec/source/inline/files", "x", "spec.source.inline.files must be an object"},
      {"/spec/source", "x", "spec.source must be an object"},
      {"/spec", "x", "spec must be an object"},
  };
  for (const auto& row : rows) {
    json document = hello();
    document[json::json_pointer(row.pointer)] = row.value;
    const auto build = ImageBuild::parse(document.dump());
    ASSERT_TRUE(build.ok()) << row.pointer;
    ASSERT_TRUE(build->spec_error) << row.pointer;
    EXPECT_EQ(build->spec_error->message, row.message);
  }
}

TEST(ImageBuild, RefusesWhatIsNoObject) {
  for (const char* text : {"", "[]", "7", "{", "{}", R"({"metadata": {}})", R"({"metadata": {"name": 7}})"}) {
    EXPECT_FALSE(ImageBuild::parse(text).ok()) << text;
  }
}

TEST(ImageBuild, SurvivesAnObjectWithoutASpec) {
  const auto build = ImageBuild::parse(R"({"metadata": {"name": "a"}})");
  ASSERT_TRUE(build.ok());
  EXPECT_FALSE(build->spec_error);
}

TEST(ImageBuild, KeepsTheSpecDigestWhenOnlyTheHandlingChanges) {
  const std::string before = ImageBuild::parse(hello().dump())->spec_digest;
  for (const char* key : {"suspend", "cancel"}) {
    json document = hello();
    document["spec"][key] = true;
    EXPECT_EQ(ImageBuild::parse(document.dump())->spec_digest, before) << key;
  }
  json kept = hello();
  kept["spec"]["ttlSecondsAfterFinished"] = 5;
  EXPECT_EQ(ImageBuild::parse(kept.dump())->spec_digest, before);
  json changed = hello();
  changed["spec"]["target"] = "build";
  EXPECT_NE(ImageBuild::parse(changed.dump())->spec_digest, before);
}

TEST(ImageBuildStatus, LeavesOutWhatSaysNothing) {
  EXPECT_EQ(json::parse(status_json({})),
            json::parse(R"({"prepare": {"phase": "Waiting"}, "publish": {"phase": "Waiting"}})"));
}

TEST(ImageBuildStatus, IsReadBackAsItWasWritten) {
  ImageBuildStatus status;
  status.observed_generation = 4;
  status.phase = BuildPhase::kBuilding;
  status.start_time = parse_time("2024-05-01T12:00:00Z");
  status.conditions = {
      {kReadyCondition, ConditionStatus::kFalse, 4, status.start_time, reason::kBuilding, "stage 1 of 2"}};
  status.stages = {{.name = "build", .work = {.phase = WorkPhase::kRunning, .pod = "p", .attempts = 2, .retries = 1}}};
  status.failure = FailureStatus{.stage = "build", .line = 7, .exit_code = 2, .log_tail = {"a", ""}};
  const std::string text = status_json(status);
  const auto build = ImageBuild::parse(R"({"metadata": {"name": "a"}, "status": )" + text + "}");
  ASSERT_TRUE(build.ok());
  EXPECT_EQ(build->status, status);
  EXPECT_EQ(status_json(build->status), text);
}

TEST(ImageBuildStatus, ReplacesBytesThatAreNoText) {
  ImageBuildStatus status;
  status.failure = FailureStatus{.message = "\xFF"};
  EXPECT_THAT(status_json(status), testing::HasSubstr("\xEF\xBF\xBD"));
}

TEST(ImageBuildStatus, CutsTextBetweenCharacters) {
  EXPECT_EQ(shortened("short", 5), "short");
  EXPECT_EQ(shortened("abcdefgh", 6), "abc\xE2\x80\xA6");
  EXPECT_EQ(shortened("ab\xC3\xA4"
                      "defgh",
                      6),
            "ab\xE2\x80\xA6");
}

TEST(StageSettings, GoOverTheDefaultsMemberByMember) {
  ImageBuildSpec spec;
  spec.stage_defaults.resources.requests = {{"cpu", {"1"}}, {"memory", {"1Gi"}}};
  spec.stage_defaults.node_selector = {{"disk", "ssd"}};
  spec.stage_defaults.service_account_name = "builder";
  StageSettings gpu;
  gpu.name = "train";
  gpu.pod.resources.requests = {{"cpu", {"4"}}};
  gpu.pod.node_selector = {{"gpu", "yes"}};
  spec.stages = {gpu};
  const PodSettings own = settings_for(spec, "train");
  EXPECT_EQ(own.resources.requests.at("cpu").text, "4");
  EXPECT_EQ(own.resources.requests.at("memory").text, "1Gi");
  EXPECT_EQ(own.node_selector, (std::map<std::string, std::string>{{"gpu", "yes"}}));
  EXPECT_EQ(own.service_account_name, "builder");
  EXPECT_EQ(settings_for(spec, "other"), spec.stage_defaults);
}

TEST(Reasons, AreEachInTheTableOnceAndSayWhatTheyMean) {
  std::set<std::string_view> seen;
  for (const reason::Reason& entry : reason::kTable) {
    EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
    EXPECT_TRUE(entry.meaning.ends_with('.')) << entry.name;
    // metav1.Condition wants CamelCase.
    EXPECT_TRUE(entry.name.front() >= 'A' && entry.name.front() <= 'Z') << entry.name;
  }
  EXPECT_EQ(reason::find("Quota")->kind, reason::Kind::kWaiting);
  EXPECT_EQ(reason::find("NoSuchReason"), nullptr);
}

}  // namespace
}  // namespace imagebuild::api
