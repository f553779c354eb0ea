#include "api/validate.h"

#include <gtest/gtest.h>

#include <functional>

#include "api/validate_values.h"
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

PodSettings& stage(S& spec, const char* name) {
  spec.stages.push_back(StageSettings{.name = name});
  return spec.stages.back().pod;
}

class Validate : public testing::TestWithParam<Row> {};

TEST_P(Validate, NamesTheFieldAndTheMistake) {
  ImageBuildSpec spec = good_spec();
  GetParam().change(spec);
  expect_problem(spec, GetParam().field, testing::StartsWith(GetParam().message));
}

const std::string kHex(64, 'a');

std::vector<Row> rows() {
  return {
      {"AcceptsASmallSpec", [](S&) {}, "", ""},
      // source
      {"WantsASource", [](S& s) { s.source = {}; }, "spec.source", "must have exactly one of git, http"},
      {"WantsOneSourceOnly", [](S& s) { s.source.config_map = ConfigMapRef{"ctx"}; }, "spec.source",
       "must have exactly one of git, http, inline, configMapRef, persistentVolumeClaim and oci; 2 are set"},
      {"TakesAConfigMap", [](S& s) { s.source = {.config_map = ConfigMapRef{"ctx"}}; }, "", ""},
      {"TakesAClaim", [](S& s) { s.source = {.claim = ClaimSource{"ctx"}}; }, "", ""},
      {"TakesAnImage", [](S& s) { s.source = {.oci = OciSource{"registry.example/ctx:1"}}; }, "", ""},
      {"TakesAnArchive",
       [](S& s) { s.source = {.http = HttpSource{.url = "https://files.example/a.tar.gz", .sha256 = kHex}}; }, "", ""},
      {"TakesGitOverSsh", [](S& s) { s.source.git->url = "git@git.example:team/app.git"; }, "", ""},
      {"TakesTheGitProtocol", [](S& s) { s.source.git->url = "git://10.0.0.1/app"; }, "", ""},
      {"TakesAUserInAnSshAddress", [](S& s) { s.source.git->url = "ssh://git@git.example:2222/a"; }, "", ""},
      {"WantsAGitAddress", [](S& s) { s.source.git->url = ""; }, "spec.source.git.url", "must not be empty"},
      {"RefusesFilesOfTheBuilder", [](S& s) { s.source.git->url = "file:///etc"; }, "spec.source.git.url",
       "must begin with https, http, ssh or git, not with 'file'"},
      {"RefusesGitHelpers", [](S& s) { s.source.git->url = "ext::sh -c id"; }, "spec.source.git.url",
       "must not have spaces"},
      {"RefusesAGitOptionAsAddress", [](S& s) { s.source.git->url = "--upload-pack=x@y:z"; }, "spec.source.git.url",
       "must be an address such as"},
      {"RefusesAPathAsAddress", [](S& s) { s.source.git->url = "/srv/git/app"; }, "spec.source.git.url",
       "must be an address such as"},
      {"RefusesAPasswordInAGitAddress", [](S& s) { s.source.git->url = "https://me:pw@git.example/a"; },
       "spec.source.git.url", "must not contain a password"},
      {"RefusesAGitOptionAsRevision", [](S& s) { s.source.git->revision = "--output=x"; }, "spec.source.git.revision",
       "must not begin with '-'"},
      {"RefusesANegativeDepth", [](S& s) { s.source.git->depth = -1; }, "spec.source.git.depth",
       "must not be negative"},
      {"ChecksTheGitSecret", [](S& s) { s.source.git->secret = SecretRef{"My_Secret"}; },
       "spec.source.git.secretRef.name", "must consist of lower-case letters"},
      {"RefusesAnFtpArchive", [](S& s) { s.source = {.http = HttpSource{.url = "ftp://a/b.tar"}}; },
       "spec.source.http.url", "must be an http or https address"},
      {"RefusesAPasswordInAnArchiveAddress", [](S& s) { s.source = {.http = HttpSource{.url = "https://u:p@a/b"}}; },
       "spec.source.http.url", "must not contain a password"},
      {"RefusesAShortChecksum",
       [](S& s) { s.source = {.http = HttpSource{.url = "https://a/b.tar", .sha256 = "abc"}}; },
       "spec.source.http.sha256", "must be 64 lower-case hexadecimal digits"},
      {"WantsAnInlineFile", [](S& s) { s.source = {.inline_files = InlineSource{}}; }, "spec.source.inline.files",
       "must have at least one file"},
      {"KeepsInlineFilesInTheContext",
       [](S& s) {
         s.source = {.inline_files = InlineSource{{{"../x", ""}}}};
       },
       "spec.source.inline.files[../x]", "must not leave the context by '..'"},
      {"RefusesAFileBelowAFile",
       [](S& s) {
         s.source = {.inline_files = InlineSource{{{"a", ""}, {"a/b", ""}}}};
       },
       "spec.source.inline.files[a/b]", "is below 'a', which is a file"},
      {"BoundsInlineFiles",
       [](S& s) {
         s.source = {.inline_files = InlineSource{{{"a", std::string(2 << 20, 'x')}}}};
       },
       "spec.source.inline.files", "must not be larger than 1 MiB together"},
      {"ChecksTheConfigMapsName", [](S& s) { s.source = {.config_map = ConfigMapRef{""}}; },
       "spec.source.configMapRef.name", "must not be empty"},
      {"ChecksTheClaimsName", [](S& s) { s.source = {.claim = ClaimSource{"a..b"}}; },
       "spec.source.persistentVolumeClaim.claimName", "must consist of lower-case letters"},
      {"ChecksTheSourceImage", [](S& s) { s.source = {.oci = OciSource{"Upper/Case"}}; }, "spec.source.oci.image", ""},
      {"KeepsTheSubPathInTheSource", [](S& s) { s.source.sub_path = "a/../../b"; }, "spec.source.subPath",
       "must not leave the context by '..'"},
      {"RefusesAnAbsoluteSubPath", [](S& s) { s.source.sub_path = "/a"; }, "spec.source.subPath",
       "must be relative to the context"},
      // Dockerfile
      {"RefusesTwoDockerfiles",
       [](S& s) {
         s.dockerfile = "Dockerfile";
         s.dockerfile_inline = "FROM scratch";
       },
       "spec.dockerfileInline", "must not be set together with dockerfile"},
      {"KeepsTheDockerfileInTheContext", [](S& s) { s.dockerfile = "../Dockerfile"; }, "spec.dockerfile",
       "must not leave the context by '..'"},
      {"RefusesControlCharactersInPaths", [](S& s) { s.dockerfile = "a\nb"; }, "spec.dockerfile",
       "must not have control characters"},
      {"ChecksTheTarget", [](S& s) { s.target = "no such thing"; }, "spec.target", "must be a stage's name or index"},
      {"TakesAnIndexAsTarget", [](S& s) { s.target = "0"; }, "", ""},
      // build arguments and secrets
      {"TakesAnEmptyBuildArg",
       [](S& s) {
         s.build_args = {{"A", "", {}}};
       },
       "", ""},
      {"TakesABuildArgFromAConfigMap",
       [](S& s) {
         s.build_args = {{"A", {}, ValueFrom{KeyRef{"cm", "k"}}}};
       },
       "", ""},
      {"WantsAValueForABuildArg",
       [](S& s) {
         s.build_args = {{"A", {}, {}}};
       },
       "spec.buildArgs[A]", "must have exactly one of value and valueFrom"},
      {"RefusesTwoValuesForABuildArg",
       [](S& s) {
         s.build_args = {{"A", "1", ValueFrom{KeyRef{"cm", "k"}}}};
       },
       "spec.buildArgs[A]", "must have exactly one of value and valueFrom"},
      {"WantsAPlaceForValueFrom",
       [](S& s) {
         s.build_args = {{"A", {}, ValueFrom{}}};
       },
       "spec.buildArgs[A].valueFrom", "must have configMapKeyRef"},
      {"ChecksTheNameOfABuildArg",
       [](S& s) {
         s.build_args = {{"1A", "x", {}}};
       },
       "spec.buildArgs[1A].name", "must be a variable's name"},
      {"RefusesABuildArgTwice",
       [](S& s) {
         s.build_args = {{"A", "x", {}}, {"A", "y", {}}};
       },
       "spec.buildArgs[A]", "is there twice"},
      {"ChecksTheKeyOfABuildArg",
       [](S& s) {
         s.build_args = {{"A", {}, ValueFrom{KeyRef{"cm", "a/b"}}}};
       },
       "spec.buildArgs[A].valueFrom.configMapKeyRef.key", "must consist of letters"},
      {"RefusesASecretTwice",
       [](S& s) {
         s.secrets = {{"t", {"s", "k"}}, {"t", {"s", "k2"}}};
       },
       "spec.secrets[t]", "is there twice"},
      {"ChecksTheIdOfASecret",
       [](S& s) {
         s.secrets = {{"a,b", {"s", "k"}}};
       },
       "spec.secrets[a,b].id", "must consist of letters"},
      {"WantsAKeyOfASecret",
       [](S& s) {
         s.secrets = {{"t", {"s", ""}}};
       },
       "spec.secrets[t].secretKeyRef.key", "must not be empty"},
      {"RefusesAKeyThatClimbs",
       [](S& s) {
         s.secrets = {{"t", {"s", "..data"}}};
       },
       "spec.secrets[t].secretKeyRef.key", "must not begin with '..'"},
      // output
      {"WantsAnImage", [](S& s) { s.output.image = ""; }, "spec.output.image", "must name a repository"},
      {"RefusesAnUpperCaseImage", [](S& s) { s.output.image = "registry.example/App"; }, "spec.output.image", ""},
      {"RefusesADigestInTheImage", [](S& s) { s.output.image = "registry.example/app@sha256:" + kHex; },
       "spec.output.image", "must not have a digest"},
      {"TakesMoreTags",
       [](S& s) {
         s.output.additional_tags = {"latest", "v1"};
       },
       "", ""},
      {"ChecksMoreTags",
       [](S& s) {
         s.output.additional_tags = {"ok", "-no"};
       },
       "spec.output.additionalTags[1]", ""},
      {"RefusesATagTwice",
       [](S& s) {
         s.output.additional_tags = {"a", "a"};
       },
       "spec.output.additionalTags[1]", "'a' is there twice"},
      {"RefusesTheImagesOwnTag", [](S& s) { s.output.additional_tags = {"1.0"}; }, "spec.output.additionalTags[0]",
       "'1.0' is the tag of image already"},
      {"RefusesTheDefaultTagTwice",
       [](S& s) {
         s.output.image = "registry.example/app";
         s.output.additional_tags = {"latest"};
       },
       "spec.output.additionalTags[0]", "'latest' is the tag of image already"},
      {"ChecksThePushSecret", [](S& s) { s.output.push_secret = SecretRef{"-x"}; }, "spec.output.pushSecretRef.name",
       "must consist of"},
      {"RefusesALabelWithoutAKey", [](S& s) { s.output.labels[""] = "x"; }, "spec.output.labels",
       "must not have an empty key"},
      {"RefusesAPullSecretTwice",
       [](S& s) {
         s.image_pull_secrets = {{"a"}, {"a"}};
       },
       "spec.imagePullSecrets[a]", "is there twice"},
      // stages
      {"TakesAStage", [](S& s) { stage(s, "build").resources.limits["memory"].text = "2Gi"; }, "", ""},
      {"RefusesAStageTwiceWhateverItsCase",
       [](S& s) {
         stage(s, "build");
         stage(s, "Build");
       },
       "spec.stages[build]", "is there twice"},
      {"ChecksTheNameOfAStage", [](S& s) { stage(s, "a b"); }, "spec.stages[a b].name", "must be a stage's name"},
      {"ChecksQuantities", [](S& s) { stage(s, "b").resources.limits["cpu"].text = "two"; },
       "spec.stages[b].resources.limits.cpu", "'two' is not a quantity such as"},
      {"RefusesNegativeQuantities", [](S& s) { s.stage_defaults.resources.requests["cpu"].text = "-1"; },
       "spec.stageDefaults.resources.requests.cpu", "must not be negative"},
      {"KeepsRequestsWithinLimits",
       [](S& s) {
         s.stage_defaults.resources.requests["cpu"].text = "1500m";
         s.stage_defaults.resources.limits["cpu"].text = "1";
       },
       "spec.stageDefaults.resources.requests.cpu", "must not be more than the limit 1"},
      {"KeepsInheritedRequestsWithinOwnLimits",
       [](S& s) {
         s.stage_defaults.resources.requests["memory"].text = "4Gi";
         stage(s, "small").resources.limits["memory"].text = "1Gi";
       },
       "spec.stages[small].resources.requests.memory", "must not be more than the limit 1Gi"},
      {"ChecksTheOperatorOfATolerance", [](S& s) { s.stage_defaults.tolerations = {{.key = "a", .op = "In"}}; },
       "spec.stageDefaults.tolerations[0].operator", "must be Exists or Equal"},
      {"WantsExistsWithoutAKey", [](S& s) { s.stage_defaults.tolerations = {{.value = "x"}}; },
       "spec.stageDefaults.tolerations[0].operator", "must be Exists when there is no key"},
      {"RefusesAValueForExists",
       [](S& s) { s.stage_defaults.tolerations = {{.key = "a", .op = "Exists", .value = "x"}}; },
       "spec.stageDefaults.tolerations[0].value", "must be empty for the operator Exists"},
      {"WantsNoExecuteForSeconds",
       [](S& s) { s.stage_defaults.tolerations = {{.key = "a", .effect = "NoSchedule", .seconds = 5}}; },
       "spec.stageDefaults.tolerations[0].effect", "must be NoExecute"},
      {"ChecksTheRuntimeClass", [](S& s) { stage(s, "b").runtime_class_name = "g visor"; },
       "spec.stages[b].runtimeClassName", "must consist of"},
      {"ChecksTheNodeSelector", [](S& s) { stage(s, "b").node_selector["a"] = std::string(64, 'x'); },
       "spec.stages[b].nodeSelector.a", "must not be longer than 63 characters"},
      // artifacts and limits
      {"TakesTheRegistryTransport",
       [](S& s) { s.artifacts = {.transport = Transport::kRegistry, .repository = "registry.example:5000/cache"}; }, "",
       ""},
      {"WantsARepositoryForTheRegistryTransport", [](S& s) { s.artifacts.transport = Transport::kRegistry; },
       "spec.artifacts.repository", "must be set for the transport Registry"},
      {"RefusesATagOfTheArtifactRepository", [](S& s) { s.artifacts.repository = "registry.example/cache:1"; },
       "spec.artifacts.repository", "must have no tag and no digest"},
      {"ChecksTheSizeOfTheClaim", [](S& s) { s.artifacts.volume.size.text = "10GB"; }, "spec.artifacts.volume.size",
       "'10GB' is not a quantity"},
      {"RefusesAnEmptyClaim", [](S& s) { s.artifacts.volume.size.text = "0"; }, "spec.artifacts.volume.size",
       "must be more than nothing"},
      {"RefusesAClaimForOnePodOnly", [](S& s) { s.artifacts.volume.access_modes = {"ReadWriteOncePod"}; },
       "spec.artifacts.volume.accessModes[0]", "ReadWriteOncePod lets only one pod"},
      {"RefusesAReadOnlyClaim", [](S& s) { s.artifacts.volume.access_modes = {"ReadOnlyMany"}; },
       "spec.artifacts.volume.accessModes[0]", "must be ReadWriteOnce or ReadWriteMany"},
      {"ChecksTheStorageClass", [](S& s) { s.artifacts.volume.storage_class_name = "Fast"; },
       "spec.artifacts.volume.storageClassName", "must consist of"},
      {"ChecksTheTimeout", [](S& s) { s.timeout = "1 hour"; }, "spec.timeout", "'1 hour' is not a duration"},
      {"RefusesATimeoutOfNothing", [](S& s) { s.timeout = "0s"; }, "spec.timeout", "must be at least 1s"},
      {"KeepsTheStageTimeoutWithinTheTimeout",
       [](S& s) {
         s.timeout = "10m";
         s.stage_timeout = "11m";
       },
       "spec.stageTimeout", "must not be longer than timeout (10m)"},
      {"BoundsRetries", [](S& s) { s.retries = 11; }, "spec.retries", "must be from 0 to 10"},
      {"RefusesANegativeTtl", [](S& s) { s.ttl_seconds_after_finished = -1; }, "spec.ttlSecondsAfterFinished",
       "must not be negative"},
  };
}

INSTANTIATE_TEST_SUITE_P(Table, Validate, testing::ValuesIn(rows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(ValidateText, ListsTheFirstProblemsAndCountsTheRest) {
  EXPECT_EQ(problems_text({{"a", "is wrong"}}), "a is wrong");
  EXPECT_EQ(problems_text({{"a", "x"}, {"b", "x"}, {"c", "x"}, {"d", "x"}, {"e", "x"}}), "a x; b x; c x; and 2 more");
}

TEST(ParseQuantity, KnowsEverySuffix) {
  const struct {
    const char* text;
    double value;
  } rows[] = {{"1", 1},         {"500m", 0.5},    {"1.5", 1.5},  {"2Ki", 2048},  {"1Mi", 1048576},
              {"1G", 1e9},      {".5Gi", 0x1p29}, {"1e3", 1000}, {"12E", 12e18}, {"1E-2", 0.01},
              {"250u", 250e-6}, {"+3", 3},        {"-1", -1},    {"7.", 7}};
  for (const auto& row : rows) {
    const auto value = parse_quantity(row.text);
    ASSERT_TRUE(value) << row.text;
    EXPECT_DOUBLE_EQ(*value, row.value) << row.text;
  }
  for (const char* text : {"", "m", "1 Gi", "1gi", "1GB", "1K", "1e", "1e999", ".", "--1", "0x10", "1..2"}) {
    EXPECT_FALSE(parse_quantity(text)) << text;
  }
}

TEST(ParseDuration, KnowsItsUnits) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  for (const char* text : {"", "5", "h", "1d", "-1s", "1h ", "9999999h"}) EXPECT_FALSE(parse_duration(text)) << text;
}

}  // namespace
}  // namespace imagebuild::api
