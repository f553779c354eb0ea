#include "api/validate_language.h"

#include <gtest/gtest.h>

#include <functional>

#include "unit/api/problem_of.h"

namespace imagebuild::api {
namespace {

using S = ImageBuildSpec;
struct Row {
  const char* name;
  std::function<void(S&)> change;
  const char* field;    // Of the only problem; empty: there is none.
  const char* message;  // The beginning of it.
};

class ValidateLanguage : public testing::TestWithParam<Row> {};

TEST_P(ValidateLanguage, NamesTheFieldAndTheMistake) {
  ImageBuildSpec spec = good_spec();
  GetParam().change(spec);
  expect_problem(spec, GetParam().field, testing::StartsWith(GetParam().message));
}

BuildContext& context(S& spec, const char* name) {
  BuildContext& added = spec.contexts.emplace_back();
  added.name = name;
  return added;
}
void limit(S& spec, const char* name, std::int64_t soft, std::optional<std::int64_t> hard = {}) {
  spec.ulimits.push_back({name, soft, hard});
}

std::vector<Row> rows() {
  return {
      {"TakesPlatforms",
       [](S& s) {
         s.platforms = {"linux/amd64", "linux/arm64", "linux/arm/v7"};
       },
       "", ""},
      {"WantsAPlatform",
       [](S& s) {
         s.platforms = {"linux/amd64", "li nux/x"};
       },
       "spec.platforms[1]", ""},
      {"WantsLinux", [](S& s) { s.platforms = {"windows/amd64"}; }, "spec.platforms[0]", "'windows/amd64' is not for"},
      {"RefusesAPlatformTwice",
       [](S& s) {
         s.platforms = {"linux/amd64", "linux/amd64"};
       },
       "spec.platforms[1]", "'linux/amd64' is there twice"},
      {"KnowsAPlatformByItsOtherName",
       [](S& s) {
         s.platforms = {"linux/arm64", "linux/aarch64"};
       },
       "spec.platforms[1]", "'linux/aarch64' is there twice, as 'linux/arm64'"},

      {"TakesAnImageForAName",
       [](S& s) { context(s, "alpine:3.18").image = "registry.example/alpine@sha256:" + std::string(64, 'a'); }, "",
       ""},
      {"TakesFilesByAName",
       [](S& s) { context(s, "assets").files = {.config_map = ConfigMapRef{"a"}, .sub_path = "x"}; }, "", ""},
      {"WantsAContextsOrigin", [](S& s) { context(s, "assets"); }, "spec.contexts[assets]",
       "must have exactly one of image, git, http, inline, configMapRef and persistentVolumeClaim; 0 are set"},
      {"WantsOneOriginOnly",
       [](S& s) {
         context(s, "assets").image = "a";
         s.contexts.back().files.claim = ClaimSource{"b"};
       },
       "spec.contexts[assets]", "must have exactly one of"},
      {"WantsAContextsName", [](S& s) { context(s, "-x").image = "a"; }, "spec.contexts[-x].name", "must be a name"},
      {"LeavesScratchAlone", [](S& s) { context(s, "scratch").image = "a"; }, "spec.contexts[scratch].name",
       "'scratch' has a meaning of its own"},
      {"RefusesAContextTwice",
       [](S& s) {
         context(s, "a").image = "a";
         context(s, "a").image = "b";
       },
       "spec.contexts[a]", "is there twice"},
      {"ChecksAContextsImage", [](S& s) { context(s, "a").image = "UPPER"; }, "spec.contexts[a].image", ""},
      {"ChecksAContextsFiles", [](S& s) { context(s, "a").files.git = GitSource{.url = "file:///etc"}; },
       "spec.contexts[a].git.url", "must begin with https"},
      {"RefusesAFolderOfAnImage",
       [](S& s) {
         context(s, "a").image = "a";
         s.contexts.back().files.sub_path = "x";
       },
       "spec.contexts[a].subPath", "must not be set together with image"},

      {"TakesKeys",
       [](S& s) {
         s.ssh = {{"", {"keys", "id"}}, {"github", {"keys", "github"}}};
       },
       "", ""},
      {"RefusesTheDefaultKeyTwice",
       [](S& s) {
         s.ssh = {{"", {"a", "k"}}, {"default", {"b", "k"}}};
       },
       "spec.ssh[default]", "is there twice"},
      {"WantsAnIdOfLetters",
       [](S& s) {
         s.ssh = {{"a b", {"a", "k"}}};
       },
       "spec.ssh[a b].id", "must consist of"},
      {"ChecksTheKeysSecret",
       [](S& s) {
         s.ssh = {{"a", {"A", "k"}}};
       },
       "spec.ssh[a].secretKeyRef.name", "must consist"},
      {"ChecksTheKeysKey",
       [](S& s) {
         s.ssh = {{"a", {"a", ""}}};
       },
       "spec.ssh[a].secretKeyRef.key", "must not be empty"},

      {"ChecksTheClaimOfCaches", [](S& s) { s.cache_mounts.claim = ClaimSource{"A"}; },
       "spec.cacheMounts.persistentVolumeClaim.claimName", "must consist"},

      {"TakesHosts",
       [](S& s) {
         s.extra_hosts = {{"10.0.0.1", {"a", "b.example"}}, {"fd00::1", {"c"}}};
       },
       "", ""},
      {"WantsAnAddress",
       [](S& s) {
         s.extra_hosts = {{"10.0.0", {"a"}}};
       },
       "spec.extraHosts[10.0.0].ip", "must be an IPv4"},
      {"WantsAHostname",
       [](S& s) {
         s.extra_hosts = {{"10.0.0.1", {}}};
       },
       "spec.extraHosts[10.0.0.1].hostnames", "must have at least one"},
      {"ChecksHostnames",
       [](S& s) {
         s.extra_hosts = {{"10.0.0.1", {"a", "a_b"}}};
       },
       "spec.extraHosts[10.0.0.1].hostnames[1]", "must consist"},
      {"RefusesAnAddressTwice",
       [](S& s) {
         s.extra_hosts = {{"10.0.0.1", {"a"}}, {"10.0.0.1", {"b"}}};
       },
       "spec.extraHosts[10.0.0.1]", "is there twice"},

      {"TakesLimits",
       [](S& s) {
         limit(s, "nofile", 1024, 4096);
         limit(s, "core", 0);
         limit(s, "stack", 8, -1);
         limit(s, "memlock", -1);
       },
       "", ""},
      {"WantsAKnownLimit", [](S& s) { limit(s, "files", 1); }, "spec.ulimits[files].name", "must be one of as, core"},
      {"WantsASoftLimitBelowTheHard", [](S& s) { limit(s, "nofile", 2, 1); }, "spec.ulimits[nofile].soft",
       "must not be more than hard"},
      {"KnowsThatUnlimitedIsMore", [](S& s) { limit(s, "nofile", -1, 1); }, "spec.ulimits[nofile].soft",
       "must not be more than hard"},
      {"RefusesANegativeLimit", [](S& s) { limit(s, "nofile", -2, 5); }, "spec.ulimits[nofile].soft",
       "must not be negative"},
      {"RefusesALimitTwice",
       [](S& s) {
         limit(s, "nofile", 1);
         limit(s, "nofile", 2);
       },
       "spec.ulimits[nofile]", "is there twice"},

      {"TakesASizeOfSharedMemory", [](S& s) { s.shm_size = {"1Gi"}; }, "", ""},
      {"WantsAQuantityOfSharedMemory", [](S& s) { s.shm_size = {"much"}; }, "spec.shmSize", "'much' is not a quantity"},
      {"WantsSomeSharedMemory", [](S& s) { s.shm_size = {"0"}; }, "spec.shmSize", "must be at least one byte"},
      {"WantsNoMoreThanThereCanBe", [](S& s) { s.shm_size = {"2Pi"}; }, "spec.shmSize", "must not be more"},
  };
}

INSTANTIATE_TEST_SUITE_P(Rows, ValidateLanguage, testing::ValuesIn(rows()),
                         [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(RunSettings, AreThoseOfTheSpec) {
  ImageBuildSpec spec;
  spec.extra_hosts = {{"10.0.0.1", {"a", "b"}}};
  spec.ulimits = {{"nofile", 1024, 4096}, {"core", 0, {}}};
  spec.shm_size = {"64Mi"};
  const RunSettings settings = run_settings(spec);
  EXPECT_EQ(settings.hosts, (std::vector<HostAlias>{{"a", "10.0.0.1"}, {"b", "10.0.0.1"}}));
  EXPECT_EQ(settings.ulimits, (std::vector<Ulimit>{{"nofile", 1024, 4096}, {"core", 0, 0}}));
  EXPECT_EQ(settings.shm_bytes, 64U << 20);
  EXPECT_EQ(run_settings({}), RunSettings{});
}

TEST(FindSsh, GoesByTheIdOrItsDefault) {
  ImageBuildSpec spec;
  spec.ssh = {{"github", {"keys", "github"}}, {"", {"keys", "own"}}};
  ASSERT_NE(find_ssh(spec, "default"), nullptr);
  EXPECT_EQ(find_ssh(spec, "default")->key.key, "own");
  EXPECT_EQ(find_ssh(spec, "github")->key.key, "github");
  EXPECT_EQ(find_ssh(spec, ""), nullptr);
}

}  // namespace
}  // namespace imagebuild::api
