#include "oci/manifest.h"

#include <gtest/gtest.h>

namespace imagebuild::oci {
namespace {

const std::string kDigest = Digest::of("").str();
const std::string kConfig =
    R"({"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" + kDigest + R"(","size":2})";

// A manifest with these members beside the schema version.
std::string manifest(const std::string& members) {
  return R"({"schemaVersion":2,)" + members + "}";
}
std::string with_layer(const std::string& layer) {
  return manifest(R"("config":)" + kConfig + R"(,"layers":[)" + layer + "]");
}
std::string layer(const std::string& digest, const std::string& size, const std::string& type = R"("t")") {
  return R"({"mediaType":)" + type + R"(,"digest":)" + digest + R"(,"size":)" + size + "}";
}
std::string quoted(const std::string& text) {
  return '"' + text + '"';
}

TEST(Manifest, IsReadAndWrittenTheSame) {
  const std::string text =
      R"({"annotations":{"a":"b"},"config":{"digest":")" + kDigest +
      R"(","mediaType":"application/vnd.oci.image.config.v1+json","size":2},"layers":[{"annotations":{"x":"y"},"digest":")" +
      kDigest + R"(","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":7}],)" +
      R"("mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2})";
  const Result<Manifest> parsed = Manifest::parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->layers.at(0).size_bytes, 7U);
  EXPECT_EQ(parsed->layers.at(0).annotations.at("x"), "y");
  EXPECT_EQ(parsed->json(), text);
}

TEST(Manifest, TakesItsMediaTypeFromTheConfigWhenItHasNone) {
  EXPECT_EQ(Manifest::parse(with_layer(""))->media_type, media_type::kOciManifest);
  std::string docker = with_layer("");
  docker.replace(docker.find(media_type::kOciConfig), media_type::kOciConfig.size(), media_type::kDockerConfig);
  EXPECT_EQ(Manifest::parse(docker)->media_type, media_type::kDockerManifest);
}

TEST(Manifest, IgnoresUnknownMembersAndNulls) {
  const Result<Manifest> parsed =
      Manifest::parse(manifest(R"("config":)" + kConfig + R"(,"layers":null,"annotations":null,"more":[1,{}])"));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_TRUE(parsed->layers.empty());
}

struct Wrong {
  const char* name;
  std::string text;
  ErrorCode code;
  const char* message;
};

class WrongManifests : public testing::TestWithParam<Wrong> {};

TEST_P(WrongManifests, AreRefusedWithThePlace) {
  const Result<Manifest> parsed = Manifest::parse(GetParam().text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, GetParam().code) << parsed.error().message;
  EXPECT_NE(parsed.error().message.find(GetParam().message), std::string::npos) << parsed.error().message;
}

constexpr ErrorCode kCorrupt = ErrorCode::kCorrupt;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Table, WrongManifests,
    testing::Values(
        Wrong{"Empty", "", kCorrupt, "not JSON"}, Wrong{"NotJson", "<html>", kCorrupt, "not JSON"},
        Wrong{"List", "[]", kCorrupt, "not a JSON object"}, Wrong{"NotUtf8", "{\"\xff\":1}", kCorrupt, "not JSON"},
        Wrong{"TooLarge", std::string(kMaxManifestBytes + 1, ' '), ErrorCode::kLimit, "at most"},
        Wrong{"Deep", std::string(100'000, '['), kCorrupt, "not JSON"},
        Wrong{"NoVersion", "{}", kCorrupt, "schemaVersion 2"},
        Wrong{"VersionText", R"({"schemaVersion":"2"})", kCorrupt, "schemaVersion must be a whole number"},
        Wrong{"SchemaOne", R"({"schemaVersion":1,"fsLayers":[]})", kUnsupported, "schema version 1"},
        Wrong{"Index", manifest(R"("manifests":[])"), kUnsupported, "index"},
        Wrong{"IndexType", manifest(R"("mediaType":"application/vnd.oci.image.index.v1+json")"), kUnsupported, "index"},
        Wrong{"Both", manifest(R"("layers":[],"manifests":[],"config":)" + kConfig), kCorrupt, "both"},
        Wrong{"OtherType", manifest(R"("mediaType":"text/html")"), kUnsupported, "text/html"},
        Wrong{"NoConfig", manifest(R"("layers":[])"), kCorrupt, "no config"},
        Wrong{"ConfigText", manifest(R"("config":"x")"), kCorrupt, "config must be an object"},
        Wrong{"LayersObject", manifest(R"("layers":{},"config":)" + kConfig), kCorrupt, "layers must be a list"},
        Wrong{"LayerText", with_layer("7"), kCorrupt, "layers[0] must be an object"},
        Wrong{"NegativeSize", with_layer(layer(quoted(kDigest), "-1")), kCorrupt, "layers[0].size"},
        Wrong{"FractionalSize", with_layer(layer(quoted(kDigest), "1.5")), kCorrupt, "layers[0].size"},
        Wrong{"HugeSize", with_layer(layer(quoted(kDigest), "18446744073709551615")), kCorrupt, "layers[0].size"},
        Wrong{"VeryLargeSize", with_layer(layer(quoted(kDigest), "9223372036854775807")), kCorrupt, "layers[0].size"},
        Wrong{"TextSize", with_layer(layer(quoted(kDigest), R"("1")")), kCorrupt, "layers[0].size"},
        Wrong{"NoSize", with_layer(layer(quoted(kDigest), "null")), kCorrupt, "layers[0].size"},
        Wrong{"NoDigest", with_layer(layer("null", "1")), kCorrupt, "layers[0].digest"},
        Wrong{"NumberDigest", with_layer(layer("1", "1")), kCorrupt, "layers[0].digest"},
        Wrong{"PathDigest", with_layer(layer(R"("sha256:../../etc/passwd")", "1")), kCorrupt, "layers[0].digest"},
        Wrong{"Sha512", with_layer(layer(quoted("sha512:" + std::string(128, '0')), "1")), kUnsupported, "only sha256"},
        Wrong{"NoMediaType", with_layer(layer(quoted(kDigest), "1", "null")), kCorrupt, "layers[0].mediaType"},
        Wrong{"NulByte", with_layer(layer(quoted(kDigest), "1", R"("a\u0000b")")), kCorrupt, "NUL"},
        Wrong{"AnnotationNumber", manifest(R"("annotations":{"a":1},"config":)" + kConfig), kCorrupt, "annotations"}),
    [](const auto& row) { return std::string(row.param.name); });

Descriptor entry(const std::string& content, const char* platform) {
  Descriptor result{
      .media_type = std::string(media_type::kOciManifest), .digest = Digest::of(content), .size_bytes = 1};
  if (platform != nullptr) {
    const std::string text(platform);
    const std::size_t slash = text.find('/');
    const std::size_t second = std::min(text.find('/', slash + 1), text.size());
    result.platform = *Platform::from_parts(text.substr(0, slash), text.substr(slash + 1, second - slash - 1),
                                            second == text.size() ? "" : text.substr(second + 1));
  }
  return result;
}

Index index_of(const std::vector<const char*>& platforms) {
  Index index{.media_type = std::string(media_type::kOciIndex)};
  for (std::size_t i = 0; i < platforms.size(); ++i) index.manifests.push_back(entry(std::to_string(i), platforms[i]));
  return index;
}

struct Choice {
  const char* name;
  std::vector<const char*> platforms;  // nullptr: an entry without one.
  const char* wanted;
  int chosen;  // -1: none.
};

class Choices : public testing::TestWithParam<Choice> {};

TEST_P(Choices, AreTheBestThatRuns) {
  const Result<Descriptor> chosen = index_of(GetParam().platforms).choose(*Platform::parse(GetParam().wanted));
  if (GetParam().chosen < 0) {
    ASSERT_FALSE(chosen.ok());
    EXPECT_EQ(chosen.error().code, ErrorCode::kNotFound);
  } else {
    ASSERT_TRUE(chosen.ok()) << chosen.error().message;
    EXPECT_EQ(chosen->digest, Digest::of(std::to_string(GetParam().chosen)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Choices,
    testing::Values(Choice{"Only", {"linux/amd64"}, "linux/amd64", 0},
                    Choice{"Second", {"linux/arm64", "linux/amd64"}, "linux/amd64", 1},
                    Choice{"FirstOfEqual", {"linux/amd64", "linux/amd64"}, "linux/amd64", 0},
                    Choice{"ExactVariant", {"linux/arm/v6", "linux/arm/v7"}, "linux/arm/v7", 1},
                    Choice{"OlderVariant", {"linux/arm/v5", "linux/arm/v6"}, "linux/arm/v7", 1},
                    Choice{"OwnArchitectureFirst", {"linux/arm/v8", "linux/arm64"}, "linux/arm64/v9", 1},
                    Choice{"Runs32Bits", {"linux/arm/v6", "linux/arm/v7", "linux/s390x"}, "linux/arm64", 1},
                    Choice{"V8IsPlain", {"linux/arm64/v8"}, "linux/arm64", 0},
                    Choice{"NeverNewer", {"linux/arm/v7"}, "linux/arm/v6", -1},
                    Choice{"NeverAttestation", {"unknown/unknown"}, "linux/amd64", -1},
                    Choice{"AttestationBeside", {"unknown/unknown", "linux/amd64"}, "linux/amd64", 1},
                    Choice{"Unlabelled", {nullptr}, "linux/amd64", 0},
                    Choice{"LabelledBeforeUnlabelled", {nullptr, "linux/amd64"}, "linux/amd64", 1},
                    Choice{"TwoUnlabelled", {nullptr, nullptr}, "linux/amd64", -1},
                    Choice{"OtherSystem", {"windows/amd64"}, "linux/amd64", -1}, Choice{"None", {}, "linux/amd64", -1}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Index, NamesThePlatformsThereAre) {
  const Error error =
      index_of({"linux/arm64", "linux/amd64", "unknown/unknown"}).choose(*Platform::parse("linux/s390x")).error();
  EXPECT_EQ(error.message, "there is no image for linux/s390x; there is one for linux/amd64, linux/arm64");
}

TEST(Index, IsReadAndWrittenTheSame) {
  Index index = index_of({"linux/arm/v7", "linux/amd64", nullptr});
  index.annotations["k"] = "v";
  const std::string text = index.json();
  const Result<Index> parsed = Index::parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->json(), text);
  EXPECT_EQ(parsed->manifests.at(0).platform->str(), "linux/arm/v7");
}

class WrongIndexes : public testing::TestWithParam<Wrong> {};

TEST_P(WrongIndexes, AreRefusedWithThePlace) {
  const Result<Index> parsed = Index::parse(GetParam().text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, GetParam().code) << parsed.error().message;
  EXPECT_NE(parsed.error().message.find(GetParam().message), std::string::npos) << parsed.error().message;
}

std::string platform_entry(const std::string& platform) {
  return manifest(R"("manifests":[{"mediaType":"t","size":1,"digest":")" + kDigest + R"(","platform":)" + platform +
                  "}]");
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongIndexes,
    testing::Values(Wrong{"Manifest", with_layer(""), kUnsupported, "manifest of one image"},
                    Wrong{"SchemaOne", R"({"schemaVersion":1})", kUnsupported, "schema version 1"},
                    Wrong{"NotAList", manifest(R"("manifests":{})"), kCorrupt, "manifests must be a list"},
                    Wrong{"PlatformText", platform_entry(R"("linux")"), kCorrupt, "manifests[0].platform"},
                    Wrong{"PlatformNumber", platform_entry(R"({"os":1})"), kCorrupt, "manifests[0].platform.os"},
                    Wrong{"PlatformNewline", platform_entry(R"({"os":"linux\n","architecture":"x"})"), kCorrupt,
                          "platform"},
                    Wrong{"Both", manifest(R"("manifests":[],"layers":[])"), kCorrupt, "both"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::oci
