#include "http/url.h"

#include <gtest/gtest.h>

namespace imagebuild::http {
namespace {

struct GoodUrl {
  const char* name;
  std::string text, scheme, host;
  int port;
  std::string path, query, str;
};

class ParsesUrl : public testing::TestWithParam<GoodUrl> {};

TEST_P(ParsesUrl, IntoItsParts) {
  const auto url = Url::parse(GetParam().text);
  ASSERT_TRUE(url.ok()) << url.error().message;
  EXPECT_EQ(url->scheme(), GetParam().scheme);
  EXPECT_EQ(url->host(), GetParam().host);
  EXPECT_EQ(url->port(), GetParam().port);
  EXPECT_EQ(url->path(), GetParam().path);
  EXPECT_EQ(url->query(), GetParam().query);
  EXPECT_EQ(url->str(), GetParam().str);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParsesUrl,
    testing::Values(GoodUrl{"HostOnly", "https://ghcr.io", "https", "ghcr.io", 443, "/", "", "https://ghcr.io/"},
                    GoodUrl{"PortAndPath", "http://localhost:5000/v2/", "http", "localhost", 5000, "/v2/", "",
                            "http://localhost:5000/v2/"},
                    GoodUrl{"OwnPortIsLeftOut", "https://a.b:443/x", "https", "a.b", 443, "/x", "", "https://a.b/x"},
                    GoodUrl{"EmptyPort", "http://a.b:/x", "http", "a.b", 80, "/x", "", "http://a.b/x"},
                    GoodUrl{"CapitalsInSchemeAndHost", "HTTPS://Ghcr.IO/V2", "https", "ghcr.io", 443, "/V2", "",
                            "https://ghcr.io/V2"},
                    GoodUrl{"QueryWithoutPath", "http://h?a=b", "http", "h", 80, "/", "a=b", "http://h/?a=b"},
                    GoodUrl{"QueryIsKeptAsSent", "http://h/p?s=a%2Bb%3D&t=/?", "http", "h", 80, "/p", "s=a%2Bb%3D&t=/?",
                            "http://h/p?s=a%2Bb%3D&t=/?"},
                    GoodUrl{"FragmentIsDropped", "http://h/p#top", "http", "h", 80, "/p", "", "http://h/p"},
                    GoodUrl{"Ipv6", "http://[::1]:5000/v2/", "http", "::1", 5000, "/v2/", "", "http://[::1]:5000/v2/"}),
    [](const auto& row) { return row.param.name; });

struct BadUrl {
  const char* name;
  std::string text;
};

class RefusesUrl : public testing::TestWithParam<BadUrl> {};

TEST_P(RefusesUrl, WithoutRepeatingIt) {
  const auto url = Url::parse(GetParam().text);
  ASSERT_FALSE(url.ok());
  EXPECT_EQ(url.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(url.error().message.find("hunter2"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RefusesUrl,
    testing::Values(BadUrl{"Empty", ""}, BadUrl{"NoScheme", "ghcr.io/v2/"}, BadUrl{"File", "file:///etc/passwd"},
                    BadUrl{"NoHost", "http:///x"}, BadUrl{"Password", "http://me:hunter2@h/"},
                    BadUrl{"Space", "http://h/a b"}, BadUrl{"LineBreak", "http://h/\r\nX-Evil: hunter2"},
                    BadUrl{"Nul", std::string("http://h/\0x", 11)}, BadUrl{"PortZero", "http://h:0/"},
                    BadUrl{"PortTooBig", "http://h:65536/"}, BadUrl{"PortNotNumber", "http://h:8o/"},
                    BadUrl{"PortSigned", "http://h:-1/"}, BadUrl{"OpenBracket", "http://[::1/"},
                    BadUrl{"BracketedName", "http://[host]/"}, BadUrl{"TextAfterBracket", "http://[::1]x/"},
                    BadUrl{"TooLong", "http://h/" + std::string(kMaxUrlBytes, 'a')},
                    BadUrl{"HighByte", "http://h/\xc3\xa4"}),
    [](const auto& row) { return row.param.name; });

struct Location {
  const char* name;
  std::string base, location, expected;
};

class ResolvesLocation : public testing::TestWithParam<Location> {};

TEST_P(ResolvesLocation, AsRfc3986Does) {
  const auto resolved = Url::parse(GetParam().base)->resolve(GetParam().location);
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  EXPECT_EQ(resolved->str(), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ResolvesLocation,
    testing::Values(Location{"Absolute", "https://r/v2/x", "http://s3:9000/b?sig=%2F", "http://s3:9000/b?sig=%2F"},
                    Location{"OtherHost", "https://r/v2/x", "//cdn/b", "https://cdn/b"},
                    Location{"AbsolutePath", "https://r:5000/v2/x?q=1", "/v2/y?s=2", "https://r:5000/v2/y?s=2"},
                    Location{"RelativePath", "https://r/v2/a/uploads/", "123", "https://r/v2/a/uploads/123"},
                    Location{"ReplacesLastSegment", "https://r/v2/a/b", "c", "https://r/v2/a/c"},
                    Location{"DotSegments", "https://r/v2/a/b", "../c/./d", "https://r/v2/c/d"},
                    Location{"NeverAboveTheRoot", "https://r/v2", "../../../x", "https://r/x"},
                    Location{"QueryOnly", "https://r/v2/a?x=1", "?y=2", "https://r/v2/a?y=2"},
                    Location{"ColonInQueryIsNoScheme", "https://r/v2/", "up?digest=sha256:ab",
                             "https://r/v2/up?digest=sha256:ab"},
                    Location{"Empty", "https://r/v2/a?x=1", "", "https://r/v2/a?x=1"}),
    [](const auto& row) { return row.param.name; });

TEST(Url, RefusesToResolveOtherSchemes) {
  EXPECT_FALSE(Url::parse("https://r/")->resolve("ftp://x/y").ok());
  EXPECT_FALSE(Url::parse("https://r/")->resolve("javascript:alert").ok());
}

TEST(Url, AddsQueriesBehindTheOnesItHas) {
  const Url url = *Url::parse("http://h/p?_state=a%2Bb");
  EXPECT_EQ(url.with_query("digest", "sha256:1 2").str(), "http://h/p?_state=a%2Bb&digest=sha256%3A1%202");
}

TEST(Url, SameOriginNeedsSchemeHostAndPort) {
  const Url url = *Url::parse("https://h/a");
  EXPECT_TRUE(url.same_origin(*Url::parse("https://H:443/b")));
  EXPECT_FALSE(url.same_origin(*Url::parse("http://h/a")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://h:444/a")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://h.evil/a")));
}

TEST(IsLoopback, KnowsThisMachineFromNamesThatLookLikeIt) {
  for (const char* host : {"localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.255.0.9", "::1"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"127.0.0.1.example.org", "127.example", "localhost.example.org", "10.0.0.1", "", "::2"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(FormEncode, EscapesNamesAndValues) {
  EXPECT_EQ(form_encode({{"a b", "c&d"}, {"e", "f=g/"}}), "a%20b=c%26d&e=f%3Dg%2F");
}

}  // namespace
}  // namespace imagebuild::http
