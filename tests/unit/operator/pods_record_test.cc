#include "operator/pods/record.h"

#include <gtest/gtest.h>

#include "archive/compress.h"
#include "base/stream.h"
#include "registry/base64.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

using kube::Json;

std::string unpack(const Json& record, const char* key) {
  const auto bytes = registry::base64_decode(record.at("binaryData").at(key).get<std::string>());
  EXPECT_TRUE(bytes);
  const auto source =
      archive::decompress(std::make_unique<StringSource>(bytes.value_or("")), archive::Compression::kGzip);
  const Result<std::string> text = read_all(*source, 1 << 20);
  EXPECT_TRUE(text.ok());
  return text.ok() ? *text : "";
}

TEST(Record, TellsBuildersTheImageBuild) {
  const api::ImageBuild build = sample_build();
  const Json record = make_record(build, 2, {}, "");
  EXPECT_EQ(record.at("metadata").at("name"), build::record_name(build, 2));
  EXPECT_EQ(record.at("metadata").at("labels").at("imagebuild.dev/generation"), "2");
  EXPECT_FALSE(record.contains("data"));
  const auto read = api::ImageBuild::parse(unpack(record, "imagebuild.json.gz"));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_FALSE(read->spec_error);
  EXPECT_EQ(read->ns, build.ns);
  EXPECT_EQ(read->name, build.name);
  EXPECT_EQ(read->uid, build.uid);
  EXPECT_EQ(read->generation, 2);
  EXPECT_EQ(read->spec, build.spec);
}

TEST(Record, HasTheRegistriesFileWhenThereIsOne) {
  EXPECT_EQ(make_record(sample_build(), 1, {}, "registries: []\n").at("data"),
            (Json{{"registries.yaml", "registries: []\n"}}));
}

TEST(Record, KeepsThePlan) {
  const Json record = make_record(sample_build(), 1, sample_plan(), "");
  const auto plan = plan_in(record);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_TRUE(plan->has_value());
  EXPECT_EQ(**plan, sample_plan());
}

TEST(Record, HasNoPlanBeforePrepareIsDone) {
  const auto plan = plan_in(make_record(sample_build(), 1, {}, ""));
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->has_value());
}

TEST(Record, SaysWhichPlanCannotBeRead) {
  for (const char* value : {"!", "aGVsbG8=", "H4sIAAAAAAAAAwMAAAAAAAAAAAA="}) {
    Json record = make_record(sample_build(), 1, sample_plan(), "");
    record["binaryData"]["plan.json.gz"] = value;
    const auto plan = plan_in(record);
    ASSERT_FALSE(plan.ok()) << value;
    EXPECT_EQ(plan.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(plan.error().message.find("plan.json.gz in the ConfigMap team/app-"), std::string::npos)
        << plan.error().message;
  }
}

TEST(Record, IsTheSameForTheSameBuild) {
  EXPECT_EQ(make_record(sample_build(), 1, sample_plan(), "r"), make_record(sample_build(), 1, sample_plan(), "r"));
}

TEST(BuildArguments, TakeTheirValuesFromConfigMaps) {
  api::ImageBuildSpec spec;
  spec.build_args = {{.name = "A", .value = "1"}, {.name = "B", .value_from = api::ValueFrom{api::KeyRef{"map", "b"}}}};
  const auto value_of = [](const api::KeyRef& from) -> std::optional<std::string> {
    return from.name + "." + from.key;
  };
  const auto resolved = resolve_build_args(spec, value_of);
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->build_args,
            (std::vector<api::BuildArg>{{.name = "A", .value = "1"}, {.name = "B", .value = "map.b"}}));
}

TEST(BuildArguments, SayWhichValueIsMissing) {
  api::ImageBuildSpec spec;
  spec.build_args = {{.name = "B", .value_from = api::ValueFrom{api::KeyRef{"map", "b"}}}};
  const auto resolved = resolve_build_args(spec, [](const api::KeyRef&) { return std::optional<std::string>(); });
  ASSERT_FALSE(resolved.ok());
  EXPECT_EQ(resolved.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(resolved.error().message,
            "the build argument 'B' has its value from the key 'b' of the ConfigMap 'map', which is not there");
}

}  // namespace
}  // namespace imagebuild::op
