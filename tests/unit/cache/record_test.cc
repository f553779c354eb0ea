#include <gtest/gtest.h>

#include "builder/cache/inputs_json.h"
#include "builder/cache/store.h"

namespace imagebuild::builder {
namespace {

std::string file_json(const std::string& path, const std::string& digest = oci::Digest::of("x").str()) {
  return R"({"path":")" + path + R"(","digest":")" + digest + R"(","size":1})";
}

std::string record_json(const std::string& files) {
  return R"({"version":1,"title":"t","content":"c","files":[)" + files + "]}";
}

TEST(CacheRecord, IsReadAsItWasWritten) {
  CacheRecord record{"build: RUN make", R"({"any":"text"})", {}};
  record.files = {{"exports/export.tar", oci::Digest::of("a").str(), 12'345'678'901},
                  {"layers/0.tar.gz", oci::Digest::of("b").str(), 0}};
  record.outline = oci::Digest::of("outline").hex();
  const auto again = CacheRecord::parse(record.json());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, record);
}

TEST(CacheRecord, MayHaveATitleThatIsNoText) {
  const CacheRecord record{"RUN \xff\xfe", "{}", {}};
  EXPECT_TRUE(CacheRecord::parse(record.json()).ok());
}

struct Row {
  const char* name;
  std::string text;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

class BrokenRecord : public testing::TestWithParam<Row> {};

TEST_P(BrokenRecord, IsCorrupt) {
  const auto record = CacheRecord::parse(GetParam().text);
  ASSERT_FALSE(record.ok());
  EXPECT_EQ(record.error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(record.error().message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BrokenRecord,
    testing::Values(
        Row{"Empty", ""}, Row{"Cut", record_json("").substr(0, 20)}, Row{"Zeros", std::string(100, '\0')},
        Row{"AList", "[]"}, Row{"AnotherVersion", R"({"version":2,"title":"","content":"","files":[]})"},
        Row{"AVersionThatIsNoNumber", R"({"version":"1","files":[]})"}, Row{"NoFiles", R"({"version":1})"},
        Row{"FilesThatAreNoList", R"({"version":1,"files":{}})"}, Row{"AFileThatIsNoObject", record_json("7")},
        Row{"AFileWithoutASize", record_json(R"({"path":"a","digest":")" + oci::Digest::of("").str() + "\"}")},
        Row{"ANegativeSize", record_json(R"({"path":"a","size":-1,"digest":")" + oci::Digest::of("").str() + "\"}")},
        Row{"ADigestThatIsNone", record_json(file_json("a", "sha256:12"))}, Row{"NoPath", record_json(file_json(""))},
        Row{"ThePathOfTheFolder", record_json(file_json("."))},
        Row{"AnAbsolutePath", record_json(file_json("/etc/passwd"))},
        Row{"APathThatLeaves", record_json(file_json("../x"))},
        Row{"APathThatLeavesLater", record_json(file_json("layers/../../x"))},
        Row{"APathWithADot", record_json(file_json("layers/./x"))}, Row{"AFolder", record_json(file_json("layers/"))},
        Row{"APathWithAZero", record_json(file_json("layers/x\\u0000y"))},
        Row{"AnOutlineThatIsAPath", R"({"version":1,"files":[],"outline":"../../x"})"},
        Row{"AFileTwice", record_json(file_json("a") + "," + file_json("a"))},
        Row{"FilesOutOfOrder", record_json(file_json("b") + "," + file_json("a"))}),
    [](const auto& row) { return row.param.name; });

TEST(InputsJson, IsReadAsItWasWrittenButForTheEndsOfValues) {
  build::StageInputs inputs;
  inputs.start = {{build::InputKind::kBase, "alpine", std::string(64, 'a')}};
  inputs.steps = {{3, {{build::InputKind::kFile, "a\"b\n", std::string(64, 'b')}}}, {4, {}}};
  inputs.end = {{build::InputKind::kExports, "", "short"}};
  const auto again = parse_inputs(inputs_json(inputs));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, cut_values(inputs));
  EXPECT_EQ(again->start[0].value, std::string(16, 'a'));
  EXPECT_TRUE(parse_inputs(inputs_json({})).ok());
}

TEST(InputsJson, TakesNamesThatAreNoText) {
  build::StageInputs inputs;
  inputs.steps = {{0, {{build::InputKind::kFile, "\xff", "1"}}}};
  EXPECT_TRUE(parse_inputs(inputs_json(inputs)).ok());
}

class BrokenInputs : public testing::TestWithParam<Row> {};

TEST_P(BrokenInputs, AreCorrupt) {
  const auto inputs = parse_inputs(GetParam().text);
  ASSERT_FALSE(inputs.ok());
  EXPECT_EQ(inputs.error().code, ErrorCode::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BrokenInputs,
    testing::Values(Row{"Empty", ""}, Row{"AList", "[]"}, Row{"NoSteps", R"({"start":[],"end":[]})"},
                    Row{"AStartThatIsNoList", R"({"start":{},"steps":[],"end":[]})"},
                    Row{"AnInputOfTwo", R"({"start":[[1,"a"]],"steps":[],"end":[]})"},
                    Row{"AKindThatIsNone", R"({"start":[[99,"a","b"]],"steps":[],"end":[]})"},
                    Row{"ANegativeKind", R"({"start":[[-1,"a","b"]],"steps":[],"end":[]})"},
                    Row{"AHugeKind", R"({"start":[[4294967296000,"a","b"]],"steps":[],"end":[]})"},
                    Row{"AKindThatIsAFraction", R"({"start":[[0.5,"a","b"]],"steps":[],"end":[]})"},
                    Row{"ANameThatIsNoText", R"({"start":[[0,1,"b"]],"steps":[],"end":[]})"},
                    Row{"AStepThatIsNoObject", R"({"start":[],"steps":[[]],"end":[]})"},
                    Row{"AStepWithoutInputs", R"({"start":[],"steps":[{"step":1}],"end":[]})"},
                    Row{"AStepWithoutANumber", R"({"start":[],"steps":[{"inputs":[]}],"end":[]})"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace imagebuild::builder
