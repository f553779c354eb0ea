// What a registry says in headers and small documents, read defensively.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/base64.h"
#include "registry/challenge.h"
#include "registry/manifest_type.h"
#include "registry/refusal.h"
#include "registry/token_answer.h"

namespace imagebuild::registry {
namespace {

using namespace std::chrono_literals;

// "scheme{name=value|name=value} scheme{}"
std::string written(const std::vector<Challenge>& challenges) {
  std::string text;
  for (const Challenge& challenge : challenges) {
    text += (text.empty() ? "" : " ") + challenge.scheme + "{";
    std::string parameters;
    for (const auto& [name, value] : challenge.parameters) {
      parameters += (parameters.empty() ? "" : "|") + name + "=" + value;
    }
    text += parameters + "}";
  }
  return text;
}

struct Header {
  const char* name;
  std::string value, expected;
};

class ParsesChallenges : public testing::TestWithParam<Header> {};

TEST_P(ParsesChallenges, WithoutFailing) {
  EXPECT_EQ(written(parse_challenges(GetParam().value)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParsesChallenges,
    testing::Values(
        Header{"Empty", "", ""}, Header{"OnlySeparators", " , ,, ", ""},
        Header{"DockerHub",
               "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/"
               "b:pull,push\"",
               "bearer{realm=https://auth.docker.io/token|scope=repository:a/b:pull,push|service=registry.docker.io}"},
        Header{"SpacesAndCapitals", "BEARER  Realm = \"x\" ,  Service=\"y\"", "bearer{realm=x|service=y}"},
        Header{"TwoInOneHeader", "Basic realm=\"a, b\", Bearer realm=\"c\"", "basic{realm=a, b} bearer{realm=c}"},
        Header{"SchemeAlone", "Negotiate", "negotiate{}"},
        Header{"SchemeAloneThenAnother", "Negotiate, Basic realm=\"x\"", "negotiate{} basic{realm=x}"},
        Header{"Token68", "Negotiate YII/x==, Basic realm=x", "negotiate{} basic{realm=x}"},
        Header{"EscapedQuote", "Basic realm=\"a\\\"b\"", "basic{realm=a\"b}"},
        Header{"Unquoted", "Bearer realm=https://x/token,service=y", "bearer{realm=https://x/token|service=y}"},
        Header{"FirstValueWins", "Basic realm=a, realm=b", "basic{realm=a}"},
        Header{"OpenQuoteEndsTheList", "Bearer service=s, realm=\"open", "bearer{service=s} realm{}"},
        Header{"Garbage", "\"\"\"=,=", ""}, Header{"HighBytes", "\xff\xfe", ""},
        Header{"LongRun", std::string(100'000, ','), ""}),
    [](const auto& row) { return row.param.name; });

TEST(ParseChallenges, BoundsTheirNumber) {
  std::string header;
  for (int i = 0; i < 1000; ++i) header += "A" + std::to_string(i) + " x=1, ";
  EXPECT_LE(parse_challenges(header).size(), 16U);
}

TEST(Base64, IsTheOneOfTheRfc) {
  for (const auto& [plain, coded] : {std::pair("", ""),
                                     {"f", "Zg=="},
                                     {"fo", "Zm8="},
                                     {"foo", "Zm9v"},
                                     {"foobar", "Zm9vYmFy"},
                                     {"user:p\xc3\xa4ss", "dXNlcjpww6Rzcw=="}}) {
    EXPECT_EQ(base64_encode(plain), coded);
    EXPECT_EQ(base64_decode(coded), plain);
  }
  EXPECT_EQ(base64_decode("Zg"), "f");
  EXPECT_EQ(base64_decode("Zm9v\n"), "foo");
  EXPECT_EQ(base64_decode("Zm9v*"), std::nullopt);
  EXPECT_EQ(base64_decode("Z"), std::nullopt);
}

const WallTime kNow = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 1 / 2)) + 3h;

struct Answer {
  const char* name;
  const char* json;
  std::string token;  // Empty: no answer.
  std::chrono::seconds lifetime;
};

class ParsesTokenAnswer : public testing::TestWithParam<Answer> {};

TEST_P(ParsesTokenAnswer, WithItsLifetime) {
  const auto answer = parse_token_answer(GetParam().json, kNow);
  ASSERT_EQ(answer.has_value(), !GetParam().token.empty());
  if (!answer) return;
  EXPECT_EQ(answer->token, GetParam().token);
  EXPECT_EQ(answer->expires - kNow, GetParam().lifetime);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParsesTokenAnswer,
    testing::Values(
        Answer{"Token", R"({"token":"t"})", "t", 60s}, Answer{"AccessToken", R"({"access_token":"t"})", "t", 60s},
        Answer{"TokenWins", R"({"token":"a","access_token":"b"})", "a", 60s},
        Answer{"ExpiresIn", R"({"token":"t","expires_in":300})", "t", 300s},
        Answer{"IssuedEarlier", R"({"token":"t","expires_in":300,"issued_at":"2026-01-02T02:59:00Z"})", "t", 240s},
        Answer{"IssuedInAnotherZone", R"({"token":"t","expires_in":300,"issued_at":"2026-01-02T03:59:00.123+01:00"})",
               "t", 240s},
        Answer{"ClockGoesWrong", R"({"token":"t","expires_in":300,"issued_at":"2020-01-01T00:00:00Z"})", "t", 300s},
        Answer{"IssuedInTheFuture", R"({"token":"t","expires_in":300,"issued_at":"2027-01-01T00:00:00Z"})", "t", 300s},
        Answer{"BadIssuedAt", R"({"token":"t","expires_in":300,"issued_at":"yesterday"})", "t", 300s},
        Answer{"NegativeLifetime", R"({"token":"t","expires_in":-5})", "t", 0s},
        Answer{"TextLifetime", R"({"token":"t","expires_in":"300"})", "t", 60s},
        Answer{"NoToken", R"({"expires_in":300})", "", 0s}, Answer{"TokenOfWrongType", R"({"token":7})", "", 0s},
        Answer{"LineBreakInToken", "{\"token\":\"a\\r\\nX: b\"}", "", 0s}, Answer{"NotJson", "<html>", "", 0s},
        Answer{"List", "[]", "", 0s}),
    [](const auto& row) { return row.param.name; });

struct Document {
  const char* name;
  const char* json;
  const char* content_type;
  std::string expected;  // Or "" for an error.
};

class FindsManifestType : public testing::TestWithParam<Document> {};

TEST_P(FindsManifestType, FromDocumentHeaderOrMembers) {
  const auto type = manifest_type(GetParam().json, GetParam().content_type);
  EXPECT_EQ(type.ok() ? *type : "", GetParam().expected);
}

constexpr const char* kIndex = "application/vnd.oci.image.index.v1+json";
constexpr const char* kManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kDocker = "application/vnd.docker.distribution.manifest.v2+json";

INSTANTIATE_TEST_SUITE_P(
    Table, FindsManifestType,
    testing::Values(Document{"OwnTypeWins", R"({"mediaType":"application/vnd.oci.image.index.v1+json"})", kDocker,
                             kIndex},
                    Document{"HeaderWhenNoOwn", R"({"layers":[]})", kDocker, kDocker},
                    Document{"HeaderWithParameters", R"({})",
                             "application/vnd.oci.image.manifest.v1+json ; charset=utf-8", kManifest},
                    Document{"IndexByItsMembers", R"({"manifests":[]})", "text/plain", kIndex},
                    Document{"ManifestByItsMembers", R"({"config":{},"layers":[]})", "application/json", kManifest},
                    Document{"UnknownOwnType", R"({"mediaType":"application/x","layers":[],"config":{}})", kDocker, ""},
                    Document{"OldSchema", R"({"schemaVersion":1,"fsLayers":[]})", "application/json", ""},
                    Document{"Nothing", R"({})", "text/html", ""}, Document{"NotJson", "<html>", kManifest, ""}),
    [](const auto& row) { return row.param.name; });

TEST(ErrorDetail, ComesFromTheFirstErrorAndIsClean) {
  EXPECT_EQ(error_detail(R"({"errors":[{"code":"DENIED","message":"no \u001b[31mway\n."},{"message":"b"}]})"),
            "no  [31mway");
  EXPECT_EQ(error_detail(R"({"errors":[{"code":"DENIED"}]})"), "DENIED");
  for (const char* body : {"", "<html>", "{}", R"({"errors":{}})", R"({"errors":[]})", R"({"errors":["x"]})"}) {
    EXPECT_EQ(error_detail(body), "") << body;
  }
  EXPECT_LT(error_detail(R"({"errors":[{"message":")" + std::string(5000, 'x') + R"("}]})").size(), 310U);
}

}  // namespace
}  // namespace imagebuild::registry
