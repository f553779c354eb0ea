#include "api/report.h"

#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

StageReport full_report() {
  StageReport report;
  report.stage = "build";
  report.layers = {LayerReport{3,
                               "layers/3.tar.gz",
                               "application/vnd.oci.image.layer.v1.tar+gzip",
                               kDigest,
                               "sha256:" + std::string(64, 'b'),
                               10,
                               20,
                               {"root/key"}}};
  report.export_bytes = 30;
  report.root_bytes = 40;
  report.failure = Failure{"build", 2, {7, 5}, "Failed", 42, "exit status 42", {"line 1", "line 2"}};
  return report;
}

TEST(StageReport, SurvivesJsonWhole) {
  const Result<StageReport> read = StageReport::parse(full_report().json());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, full_report());
}

TEST(StageReport, RefusesBrokenText) {
  std::string wrong_digest = full_report().json();
  wrong_digest.replace(wrong_digest.find(kDigest), kDigest.size(), "sha256:zz");
  for (const std::string& text : {std::string("nonsense"), std::string("[]"), std::string("{}"), wrong_digest}) {
    const Result<StageReport> read = StageReport::parse(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  }
}

TEST(StageEvent, SurvivesJsonWhole) {
  const StageEvent events[] = {StepStarted{4}, StepOutput{4, 2, "line\n"}, StepDone{4, 77}, StageDone{full_report()}};
  for (const StageEvent& event : events) {
    const Result<StageEvent> read = parse_event(event_json(event));
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, event);
  }
}

TEST(StageEvent, ReplacesBytesThatAreNotUtf8) {
  const Result<StageEvent> read = parse_event(event_json(StepOutput{0, 1,
                                                                    "a\xff"
                                                                    "b"}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(std::get<StepOutput>(*read).data,
            "a\xef\xbf\xbd"
            "b");
}

TEST(StageEvent, RefusesUnknownNames) {
  EXPECT_FALSE(parse_event("{\"event\":\"party\"}").ok());
}

TEST(ErrorCodeName, ComesBackAsTheSameCode) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const auto value = static_cast<ErrorCode>(code);
    EXPECT_EQ(parse_error_code(error_code_name(value)), value);
  }
  EXPECT_EQ(parse_error_code("Nonsense"), ErrorCode::kInternal);
}

}  // namespace
}  // namespace imagebuild::api
