#include "cli/output_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imagebuild::cli {
namespace {

using Kind = builder::Output::Kind;
using testing::HasSubstr;

TEST(OutputSpecTest, ReadsTheFourTypes) {
  EXPECT_EQ(parse_output("type=registry")->kind, Kind::kRegistry);
  EXPECT_EQ(parse_output("type=oci,dest=a/b")->kind, Kind::kOciLayout);
  EXPECT_EQ(parse_output("dest=x.tar,type=oci-archive")->kind, Kind::kOciArchive);
  EXPECT_EQ(parse_output("type=docker-archive,dest=y")->kind, Kind::kDockerArchive);
  EXPECT_EQ(parse_output("type=oci,dest=a=b")->destination, "a=b");
}

struct WrongOutput {
  const char* name;
  const char* text;
  const char* message;
};

class WrongOutputTest : public testing::TestWithParam<WrongOutput> {};

TEST_P(WrongOutputTest, SaysWhatIsWrong) {
  const auto output = parse_output(GetParam().text);
  ASSERT_FALSE(output.ok());
  EXPECT_THAT(output.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Rows, WrongOutputTest,
                         testing::ValuesIn(std::vector<WrongOutput>{
                             {"AFolder", "out", "expected type=registry, or type=oci"},
                             {"StandardOutput", "-", "expected type=registry"},
                             {"NoType", "dest=a", "has no type="},
                             {"UnknownKey", "type=oci,dst=a", "unknown key 'dst'; did you mean 'dest'?"},
                             {"UnknownType", "type=oic,dest=a", "unknown type 'oic'; did you mean 'oci'?"},
                             {"ForeignType", "type=floppy,dest=a",
                              "it can be registry, oci, oci-archive or docker-archive"},
                             {"DockersOwnStore", "type=docker", "type=docker-archive,dest=FILE"},
                             {"Local", "type=local,dest=a", "not supported"},
                             {"NoDestination", "type=oci", "type=oci needs dest=PATH"},
                             {"EmptyDestination", "type=oci,dest=", "'dest' has no value"},
                             {"DestinationForRegistry", "type=registry,dest=a", "takes no dest="},
                             {"Pipe", "type=oci-archive,dest=-", "not supported"},
                             {"KeyTwice", "type=oci,type=oci,dest=a", "'type' is given twice"},
                             {"NoValue", "type=oci,push", "expected KEY=VALUE, not 'push'"},
                         }),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(SecretSpecTest, ReadsFilesAndVariables) {
  EXPECT_EQ(*parse_secret("id=a,src=/b"), (SecretSource{"a", "/b", ""}));
  EXPECT_EQ(*parse_secret("id=a,source=/b,type=file"), (SecretSource{"a", "/b", ""}));
  EXPECT_EQ(*parse_secret("id=a,env=B"), (SecretSource{"a", "", "B"}));
  EXPECT_EQ(*parse_secret("type=env,id=a,src=B"), (SecretSource{"a", "", "B"}));
  EXPECT_EQ(*parse_secret("id=TOKEN"), (SecretSource{"TOKEN", "", "TOKEN"}));
}

TEST(SecretSpecTest, SaysWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"src=/b", "has no id="},
      {"id=a,src=b,env=C", "not both"},
      {"id=a,src=b,source=c", "mean the same"},
      {"id=a,file=b", "unknown key 'file'"},
      {"id=a,type=flie,src=b", "did you mean 'file'?"},
      {"token", "expected KEY=VALUE"},
  };
  for (const auto& [text, message] : rows) {
    const auto secret = parse_secret(text);
    ASSERT_FALSE(secret.ok()) << text;
    EXPECT_THAT(secret.error().message, HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace imagebuild::cli
