#include "oci/platform.h"

#include <gtest/gtest.h>

namespace imagebuild::oci {
namespace {

struct Row {
  const char* name;
  const char* text;
  std::string result;  // The canonical name, or a part of the message.
  bool valid = true;
};

class PlatformNames : public testing::TestWithParam<Row> {};

TEST_P(PlatformNames, AreNormalisedOrRefused) {
  const Row& row = GetParam();
  const Result<Platform> platform = Platform::parse(row.text);
  ASSERT_EQ(platform.ok(), row.valid) << (platform.ok() ? platform->str() : platform.error().message);
  if (row.valid) {
    EXPECT_EQ(platform->str(), row.result);
    EXPECT_EQ(Platform::parse(platform->str())->str(), row.result) << "the canonical name names the same platform";
  } else {
    EXPECT_EQ(platform.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(platform.error().message.find(row.result), std::string::npos) << platform.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, PlatformNames,
    testing::Values(
        Row{"Plain", "linux/amd64", "linux/amd64"}, Row{"ArchitectureAlone", "arm64", "linux/arm64"},
        Row{"SystemAlone", "windows", "windows/" + Platform::host().architecture()},
        Row{"Aarch64", "linux/aarch64", "linux/arm64"}, Row{"Arm64V8", "linux/arm64/v8", "linux/arm64"},
        Row{"Arm64Eight", "linux/arm64/8", "linux/arm64"}, Row{"Arm64V9", "linux/arm64/v9", "linux/arm64/v9"},
        Row{"X8664", "linux/x86_64", "linux/amd64"}, Row{"X8664Dash", "x86-64", "linux/amd64"},
        Row{"Amd64V1", "linux/amd64/v1", "linux/amd64"}, Row{"Amd64V3", "linux/amd64/v3", "linux/amd64/v3"},
        Row{"Arm", "linux/arm", "linux/arm/v7"}, Row{"ArmSix", "linux/arm/6", "linux/arm/v6"},
        Row{"Armhf", "armhf", "linux/arm/v7"}, Row{"Armel", "armel", "linux/arm/v6"},
        Row{"I386", "linux/i386", "linux/386"}, Row{"Macos", "macos/arm64", "darwin/arm64"},
        Row{"UpperCase", "Linux/AMD64", "linux/amd64"}, Row{"Empty", "", "empty", false},
        Row{"EmptyPart", "linux/", "empty", false}, Row{"EmptyFirst", "/amd64", "empty", false},
        Row{"TooManyParts", "linux/arm/v7/x", "more parts", false}, Row{"ManySlashes", "////////", "more parts", false},
        Row{"Typo", "linux/adm64", "did you mean 'amd64'", false},
        Row{"UnknownSystem", "linxu/amd64", "did you mean 'linux'", false},
        Row{"Space", "linux/amd 64", "only letters", false}, Row{"Wildcard", "linux/*", "only letters", false},
        Row{"UnknownAlone", "frob", "unknown architecture 'frob'", false}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Platform, TakesUnheardOfNamesFromAnIndex) {
  EXPECT_EQ(Platform::from_parts("unknown", "unknown", "")->str(), "unknown/unknown");
  EXPECT_EQ(Platform::from_parts("linux", "newcpu", "v2")->str(), "linux/newcpu/v2");
  EXPECT_FALSE(Platform::from_parts("linux", "a/b", "").ok());
}

TEST(Platform, OfTheHostIsKnown) {
  EXPECT_TRUE(Platform::parse(Platform::host().str()).ok());
}

struct Acceptance {
  const char *wanted, *image;
  bool accepted;
};

TEST(Platform, AcceptsOlderVariantsOfItsArchitecture) {
  const Acceptance rows[] = {
      {"linux/amd64", "linux/amd64", true},       {"linux/amd64", "linux/arm64", false},
      {"linux/amd64", "windows/amd64", false},    {"linux/amd64/v3", "linux/amd64", true},
      {"linux/amd64/v3", "linux/amd64/v2", true}, {"linux/amd64", "linux/amd64/v2", false},
      {"linux/arm/v7", "linux/arm/v6", true},     {"linux/arm/v6", "linux/arm/v7", false},
      {"linux/arm64", "linux/arm64/v8", true},    {"linux/arm64/v9", "linux/arm64", true},
      {"linux/arm64", "linux/arm64/v9", false},   {"linux/arm64/v8.2", "linux/arm64/v8.1", true},
      {"linux/arm64", "linux/arm/v7", true},      {"linux/amd64", "linux/amd64/fast", false},
      {"linux/amd64", "linux/386", true},         {"linux/386", "linux/amd64", false},
      {"linux/arm/v7", "linux/arm64", false},
  };
  for (const Acceptance& row : rows) {
    EXPECT_EQ(Platform::parse(row.wanted)->accepts(*Platform::parse(row.image)), row.accepted)
        << row.image << " on " << row.wanted;
  }
}

TEST(Platform, PrefersTheNearestVariant) {
  const Platform wanted = *Platform::parse("linux/arm/v7");
  EXPECT_GT(wanted.fit(*Platform::parse("linux/arm/v7")), wanted.fit(*Platform::parse("linux/arm/v6")));
  EXPECT_GT(wanted.fit(*Platform::parse("linux/arm/v6")), wanted.fit(*Platform::parse("linux/arm/v5")));
  const Platform arm64 = *Platform::parse("linux/arm64/v9");
  EXPECT_GT(arm64.fit(*Platform::parse("linux/arm64")), arm64.fit(*Platform::parse("linux/arm/v8")));
  EXPECT_GT(arm64.fit(*Platform::parse("linux/arm/v7")), arm64.fit(*Platform::parse("linux/arm/v6")));
}

}  // namespace
}  // namespace imagebuild::oci
