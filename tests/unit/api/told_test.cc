#include "api/told.h"

#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

Told everything() {
  Told told;
  told.step = 3;
  told.failure = Failure{.stage = "app",
                         .step = 3,
                         .at = {7, 1},
                         .code = "Failed",
                         .exit_code = 2,
                         .message = "the command ended with exit status 2",
                         .log_tail = {"cc main.c", "main.c:1: error"}};
  told.export_bytes = 123;
  told.cached = {0, 2};
  told.changed = {{1, "src/main.c changed"}, {3, "the argument VERSION is new"}};
  told.source = SourceStatus{"main@sha1:aa", "sha256:bb"};
  told.image = ImageStatus{.reference = "r/app@sha256:cc", .digest = "sha256:cc", .size_bytes = 5, .layers = 2};
  told.warnings = {{"BuildToolsInImage", "gcc is in the image", {4, 1}}, {"", "a remark", {}}};
  told.plan_json = R"({"version":1})";
  return told;
}

TEST(Told, ComesBackAsItWas) {
  for (const Told& told : {Told{}, Told{.step = 1, .done = true}, everything()}) {
    const auto back = Told::parse(told.json());
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, told);
    EXPECT_EQ(told.json().find('\n'), std::string::npos);
  }
}

TEST(Told, RefusesWhatItIsNot) {
  for (const char* text : {"", "[]", "{}", R"({"version":2,"step":0,"done":true})", R"({"version":1,"step":"x"})",
                           R"({"version":1,"step":0,"done":true,"cached":[-1]})"}) {
    const auto told = Told::parse(text);
    ASSERT_FALSE(told.ok()) << text;
    EXPECT_EQ(told.error().code, ErrorCode::kCorrupt);
  }
}

TEST(Told, FitsIntoATerminationMessageWithTheNewestLines) {
  Told told = everything();
  told.failure->log_tail.assign(kLogTailLines, std::string(1000, 'x'));
  told.failure->log_tail.back() = "the last line";
  const std::string text = told.short_json(4096);
  EXPECT_LE(text.size(), 4096U);
  const auto back = Told::parse(text);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->plan_json, "");
  ASSERT_FALSE(back->failure->log_tail.empty());
  EXPECT_EQ(back->failure->log_tail.back(), "the last line");
}

TEST(Told, RatherHasFewerWarningsThanFewerLinesOfTheLog) {
  Told told = everything();
  told.warnings.assign(100, {"Rule", std::string(100, 'x'), {1, 1}});
  const auto back = Told::parse(told.short_json(4096));
  ASSERT_TRUE(back.ok());
  EXPECT_LT(back->warnings.size(), 40U);
  EXPECT_FALSE(back->warnings.empty());
  EXPECT_EQ(back->failure->log_tail, told.failure->log_tail);
}

TEST(Told, CutsAMessageThatIsTooLong) {
  Told told = everything();
  told.failure->message = std::string(10'000, '"');  // Two bytes each in JSON.
  const std::string text = told.short_json(4096);
  EXPECT_LE(text.size(), 4096U);
  ASSERT_TRUE(Told::parse(text).ok());
  EXPECT_GT(Told::parse(text)->failure->message.size(), 100U);
}

}  // namespace
}  // namespace imagebuild::api
