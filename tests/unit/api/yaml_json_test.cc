#include "api/yaml_json.h"

#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

TEST(YamlToJson, KeepsTheShapeAndGivesScalarsAsText) {
  const auto read = yaml_to_json("a: [1, true, x]\nb:\n  c: 'two words'\n  d:\n");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, nlohmann::json::parse(R"({"a":["1","true","x"],"b":{"c":"two words","d":null}})"));
}

TEST(YamlToJson, SaysWhereItIsBroken) {
  const auto read = yaml_to_json("a: 1\nb: [1,\n");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(read.error().message.substr(0, 2), "3:");
}

TEST(YamlToJson, RefusesAliasesThatMultiply) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    std::string line = "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) line += ", " + before;
    text += line + "]\n";
  }
  EXPECT_FALSE(yaml_to_json(text).ok());
}

}  // namespace
}  // namespace imagebuild::api
