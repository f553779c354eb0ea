#include "oci/reference.h"

#include <gtest/gtest.h>

namespace imagebuild::oci {
namespace {

const std::string kDigest = Digest::of("").str();

struct Good {
  const char* name;
  std::string text, canonical, familiar;
};

class GoodReferences : public testing::TestWithParam<Good> {};

TEST_P(GoodReferences, AreNormalisedAsDockerDoes) {
  const Result<Reference> reference = Reference::parse(GetParam().text);
  ASSERT_TRUE(reference.ok()) << reference.error().message;
  EXPECT_EQ(reference->str(), GetParam().canonical);
  EXPECT_EQ(reference->familiar(), GetParam().familiar);
  EXPECT_EQ(*Reference::parse(reference->str()), *reference);
  EXPECT_EQ(*Reference::parse(reference->familiar()), *reference);
}

INSTANTIATE_TEST_SUITE_P(
    Table, GoodReferences,
    testing::Values(Good{"Short", "alpine", "docker.io/library/alpine:latest", "alpine:latest"},
                    Good{"Tag", "alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"},
                    Good{"User", "someone/app", "docker.io/someone/app:latest", "someone/app:latest"},
                    Good{"HubInFull", "docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"},
                    Good{"HubWithoutLibrary", "docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"},
                    Good{"LegacyHub", "index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"},
                    Good{"DeepLibrary", "docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
                    Good{"Localhost", "localhost/a", "localhost/a:latest", "localhost/a:latest"},
                    Good{"LocalhostAlone", "localhost", "docker.io/library/localhost:latest", "localhost:latest"},
                    Good{"PortLookalike", "localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
                    Good{"Port", "localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000/a/b:1"},
                    Good{"PortNoTag", "host:5000/a", "host:5000/a:latest", "host:5000/a:latest"},
                    Good{"Ip", "127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "127.0.0.1:5000/a:latest"},
                    Good{"Ip6", "[::1]:5000/a:t", "[::1]:5000/a:t", "[::1]:5000/a:t"},
                    Good{"Ip6NoPort", "[2001:db8::1]/a", "[2001:db8::1]/a:latest", "[2001:db8::1]/a:latest"},
                    Good{"UpperCaseRegistry", "Registry/a", "Registry/a:latest", "Registry/a:latest"},
                    Good{"Separators", "a.b/c_d/e__f/g---h", "a.b/c_d/e__f/g---h:latest", "a.b/c_d/e__f/g---h:latest"},
                    Good{"TagCharacters", "a:_A.b-9", "docker.io/library/a:_A.b-9", "a:_A.b-9"},
                    Good{"Digest", "a@" + kDigest, "docker.io/library/a@" + kDigest, "a@" + kDigest},
                    Good{"TagAndDigest", "r.io/a:1@" + kDigest, "r.io/a:1@" + kDigest, "r.io/a:1@" + kDigest},
                    Good{"LongestTag", "a:" + std::string(128, 'x'), "docker.io/library/a:" + std::string(128, 'x'),
                         "a:" + std::string(128, 'x')},
                    Good{"LongestRepository", "r.io/" + std::string(255, 'x'),
                         "r.io/" + std::string(255, 'x') + ":latest", "r.io/" + std::string(255, 'x') + ":latest"}),
    [](const auto& row) { return std::string(row.param.name); });

struct Bad {
  const char* name;
  std::string text;
  const char* message;
};

class BadReferences : public testing::TestWithParam<Bad> {};

TEST_P(BadReferences, AreRefusedWithThePartAndTheReason) {
  const Result<Reference> reference = Reference::parse(GetParam().text);
  ASSERT_FALSE(reference.ok()) << reference->str();
  EXPECT_EQ(reference.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(reference.error().message.find(GetParam().message), std::string::npos) << reference.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadReferences,
    testing::Values(
        Bad{"Empty", "", "empty"}, Bad{"UpperCase", "Alpine", "lower case"},
        Bad{"UpperCasePart", "r.io/a/B", "'B' is not"}, Bad{"EmptyTag", "a:", "tag after ':' is empty"},
        Bad{"TagDash", "a:-x", "must not begin with '-'"}, Bad{"TagSlash", "r.io/a:x/y", "':' is not allowed"},
        Bad{"TagTooLong", "a:" + std::string(129, 'x'), "129 bytes"},
        Bad{"TwoTags", "a:b:c", "':' is not allowed in a repository"},
        Bad{"RepositoryTooLong", "r.io/" + std::string(256, 'x'), "256 bytes"},
        Bad{"WholeTooLong", std::string(5000, 'x'), "too long"}, Bad{"EmptyPart", "a//b", "empty part"},
        Bad{"LeadingSlash", "/a", "empty part"}, Bad{"TrailingSlash", "a/", "empty part"},
        Bad{"RegistryOnly", "r.io/", "no repository"}, Bad{"EmptyDigest", "a@", "digest"},
        Bad{"BadDigest", "a@sha256:12", "2 digits"}, Bad{"Sha512", "a@sha512:" + std::string(128, '0'), "only sha256"},
        Bad{"NoName", "@" + kDigest, "no repository"}, Bad{"ImageId", std::string(64, 'a'), "image id"},
        Bad{"Scheme", "https://r.io/a", "without a scheme"}, Bad{"Space", "a b", "a space is not allowed"},
        Bad{"Newline", "a\n", "the byte 0x0a"}, Bad{"NotAscii", "caf\xc3\xa9", "the byte 0xc3"},
        Bad{"ThreeUnderscores", "a___b", "'___' is not allowed"}, Bad{"TwoDots", "a..b", "'..' is not allowed"},
        Bad{"MixedSeparators", "a.-b", "'.-' is not allowed"}, Bad{"BeginsWithDash", "-a", "begins and ends"},
        Bad{"EndsWithDot", "a./b", "not a host name"}, Bad{"DotDot", "../a", "not a host name"},
        Bad{"PortWords", "host:port/a", "port"}, Bad{"PortTooBig", "host:70000/a", "port"},
        Bad{"PortEmpty", "host:/a", "port"}, Bad{"OpenBracket", "[::1/a", "without ']'"},
        Bad{"BracketName", "[host]:1/a", "IPv6"}, Bad{"HostUnderscore", "my_host:5000/a", "not a host name"},
        Bad{"HostDash", "-host.io/a", "not a host name"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Reference, IsPinnedByADigestAndKeepsItsTag) {
  const Reference reference = *Reference::parse("r.io/a:1");
  EXPECT_EQ(reference.identifier(), "1");
  const Reference pinned = reference.with_digest(Digest::of(""));
  EXPECT_EQ(pinned.identifier(), kDigest);
  EXPECT_EQ(pinned.str(), "r.io/a:1@" + kDigest);
  EXPECT_EQ(pinned.with_tag("2").str(), "r.io/a:2");
}

TEST(ReferenceDeathTest, NeverHoldsABadTag) {
  EXPECT_DEATH(Reference::parse("a")->with_tag("x/y"), "");
}

}  // namespace
}  // namespace imagebuild::oci
