#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "api/image_build.h"
#include "unit/api/crd_schema.h"

namespace imagebuild::api {
namespace {

using nlohmann::json;
using testing::IsEmpty;

std::set<std::string> keys_of(const YAML::Node& map) {
  std::set<std::string> keys;
  for (const auto& member : map) keys.insert(member.first.as<std::string>());
  return keys;
}

bool is_true(const YAML::Node& node) {
  return node && node.as<std::string>() == "true";
}

TEST(Crd, NamesTheResourceAsTheProgramsDo) {
  const YAML::Node spec = read_crd()["spec"];
  EXPECT_EQ(read_crd()["metadata"]["name"].as<std::string>(), std::string(kPlural) + "." + kGroup);
  EXPECT_EQ(spec["group"].as<std::string>(), kGroup);
  EXPECT_EQ(spec["names"]["kind"].as<std::string>(), kKind);
  EXPECT_EQ(spec["names"]["plural"].as<std::string>(), kPlural);
  EXPECT_EQ(spec["names"]["categories"][0].as<std::string>(), "builds");
  EXPECT_FALSE(spec["names"]["shortNames"]) << "the short name ib belongs to another project";
  EXPECT_EQ(crd_version()["name"].as<std::string>(), kVersion);
  EXPECT_TRUE(crd_version()["subresources"]["status"]);
}

// Structural schemas (apiextensions.k8s.io/v1): without them the API server refuses the definition.
TEST(Crd, IsAStructuralSchema) {
  const std::set<std::string> kForbidden = {"$ref",          "definitions", "dependencies",      "deprecated",
                                            "discriminator", "id",          "patternProperties", "readOnly",
                                            "writeOnly",     "xml",         "uniqueItems"};
  std::vector<std::string> mistakes;
  walk_schema("", crd_schema(), [&](const std::string& name, const YAML::Node& schema) {
    const bool int_or_string = is_true(schema["x-kubernetes-int-or-string"]);
    if (!int_or_string && !schema["type"]) mistakes.push_back(name + ": has no type");
    if (int_or_string && schema["type"]) mistakes.push_back(name + ": int-or-string must have no type");
    for (const std::string& key : keys_of(schema)) {
      if (kForbidden.contains(key)) mistakes.push_back(name + ": must not have " + key);
    }
    for (const char* junctor : {"allOf", "oneOf", "not"}) {
      if (schema[junctor]) mistakes.push_back(name + ": has " + junctor);
    }
    if (schema["anyOf"] && !int_or_string) mistakes.push_back(name + ": anyOf is for int-or-string only");
    if (schema["properties"] && schema["additionalProperties"]) mistakes.push_back(name + ": is object and map");
    if (schema["properties"] && schema["type"].as<std::string>() != "object") mistakes.push_back(name + ": no object");
    if (schema["items"] && schema["type"].as<std::string>() != "array") mistakes.push_back(name + ": no array");
    for (const auto& required : schema["required"]) {
      if (!schema["properties"][required.as<std::string>()]) mistakes.push_back(name + ": requires what is not there");
    }
  });
  EXPECT_THAT(mistakes, IsEmpty());
}

TEST(Crd, TellsServerSideApplyHowToMergeEveryList) {
  std::vector<std::string> mistakes;
  walk_schema("", crd_schema(), [&](const std::string& name, const YAML::Node& schema) {
    if (!schema["type"] || schema["type"].as<std::string>() != "array") return;
    const YAML::Node kind = schema["x-kubernetes-list-type"];
    if (!kind) return mistakes.push_back(name + ": has no list type");
    if (!schema["items"]) mistakes.push_back(name + ": has no items");
    if (kind.as<std::string>() == "set" && schema["items"]["type"].as<std::string>() == "object") {
      mistakes.push_back(name + ": a set must hold scalars");
    }
    if (kind.as<std::string>() != "map") return;
    for (const auto& key : schema["x-kubernetes-list-map-keys"]) {
      std::set<std::string> required;
      for (const auto& own : schema["items"]["required"]) required.insert(own.as<std::string>());
      if (!required.contains(key.as<std::string>())) mistakes.push_back(name + ": its key is not required");
    }
  });
  EXPECT_THAT(mistakes, IsEmpty());
  const std::map<std::string, std::string> kMaps = {
      {"spec.buildArgs", "name"}, {"spec.contexts", "name"}, {"spec.secrets", "id"},
      {"spec.extraHosts", "ip"},  {"spec.ulimits", "name"},  {"spec.imagePullSecrets", "name"},
      {"spec.stages", "name"},    {"status.stages", "name"}, {"status.conditions", "type"}};
  std::map<std::string, std::string> maps;
  walk_schema("", crd_schema(), [&](const std::string& name, const YAML::Node& schema) {
    if (const YAML::Node keys = schema["x-kubernetes-list-map-keys"]) maps[name] = keys[0].as<std::string>();
  });
  EXPECT_EQ(maps, kMaps);
}

TEST(Crd, DescribesEveryField) {
  std::vector<std::string> mistakes;
  walk_schema("", crd_schema(), [&](const std::string& name, const YAML::Node& schema) {
    if (name == "metadata") {
      EXPECT_EQ(schema.size(), 1U) << "the API server refuses everything but the type here";
    } else if (!schema["description"] || schema["description"].as<std::string>().empty()) {
      mistakes.push_back(name);
    }
  });
  EXPECT_THAT(mistakes, IsEmpty());
}

// What is bounded keeps objects small and the cost of CEL rules low (it is estimated from the bounds).
TEST(Crd, BoundsWhateverAUserWrites) {
  std::vector<std::string> mistakes;
  walk_schema("spec", crd_schema()["properties"]["spec"], [&](const std::string& name, const YAML::Node& schema) {
    if (!schema["type"]) return;
    const std::string type = schema["type"].as<std::string>();
    const bool is_checksum = name.ends_with(".http.sha256");  // Bounded by its pattern.
    if (type == "string" && !schema["maxLength"] && !schema["enum"] && !is_checksum) {
      mistakes.push_back(name + ": no maxLength or enum");
    }
    if (type == "array" && !schema["maxItems"]) mistakes.push_back(name + ": no maxItems");
    if (schema["additionalProperties"] && !schema["maxProperties"]) mistakes.push_back(name + ": no maxProperties");
    if (type == "integer" && !schema["minimum"] && !name.ends_with("tolerationSeconds")) {
      mistakes.push_back(name + ": no minimum");
    }
  });
  EXPECT_THAT(mistakes, IsEmpty());
}

TEST(Crd, HasNoDefaultsSoThatAppliedManifestsShowNoDifference) {
  walk_schema("", crd_schema(),
              [&](const std::string& name, const YAML::Node& schema) { EXPECT_FALSE(schema["default"]) << name; });
}

TEST(Crd, AsksForExactlyOneByRulesWithAMessage) {
  std::map<std::string, std::string> rules;
  walk_schema("", crd_schema(), [&](const std::string& name, const YAML::Node& schema) {
    for (const auto& rule : schema["x-kubernetes-validations"]) {
      EXPECT_TRUE(rule["message"]) << name;
      rules[name] = rule["rule"].as<std::string>();
    }
  });
  ASSERT_TRUE(rules.contains("spec.source"));
  for (const auto& property : crd_schema()["properties"]["spec"]["properties"]["source"]["properties"]) {
    const std::string kind = property.first.as<std::string>();
    if (kind != "subPath") {
      EXPECT_THAT(rules["spec.source"], testing::HasSubstr("has(self." + kind + ")"));
    }
  }
  ASSERT_TRUE(rules.contains("spec.contexts[]"));
  for (const char* kind : {"image", "git", "http", "inline", "configMapRef", "persistentVolumeClaim"}) {
    EXPECT_THAT(rules["spec.contexts[]"], testing::HasSubstr(std::string("has(self.") + kind + ")"));
  }
  EXPECT_TRUE(rules.contains("spec.buildArgs[]"));
  EXPECT_TRUE(rules.contains("spec.artifacts"));
  EXPECT_TRUE(rules.contains("spec"));
}

TEST(Crd, PrintsColumnsThatLeadToFields) {
  std::vector<std::string> narrow, wide;
  const std::vector<std::string> fields = image_build_fields();
  for (const auto& column : crd_version()["additionalPrinterColumns"]) {
    const std::string path = column["jsonPath"].as<std::string>().substr(1);
    (column["priority"] ? wide : narrow).push_back(column["name"].as<std::string>());
    if (path.find('?') == std::string::npos && path != "metadata.creationTimestamp") {
      EXPECT_THAT(fields, testing::Contains(path));
    }
  }
  EXPECT_THAT(narrow, testing::ElementsAre("Ready", "Reason", "Stages", "Image", "Age"));
  EXPECT_THAT(wide, testing::ElementsAre("Digest", "Duration"));
}

TEST(Crd, HasExactlyTheFieldsThatTheProgramsKnow) {
  std::vector<std::string> declared;
  for (const char* part : {"spec", "status"}) {
    walk_schema(part, crd_schema()["properties"][part],
                [&](const std::string& name, const YAML::Node&) { declared.push_back(name); });
  }
  std::vector<std::string> known = image_build_fields();
  // The elements of lists and maps, and the two roots, have a schema but no name of their own.
  std::erase_if(declared, [](const std::string& name) { return name == "spec" || name == "status"; });
  std::set<std::string> missing, extra;
  const std::set<std::string> known_set(known.begin(), known.end()), declared_set(declared.begin(), declared.end());
  std::ranges::set_difference(declared_set, known_set, std::inserter(missing, missing.end()));
  std::ranges::set_difference(known_set, declared_set, std::inserter(extra, extra.end()));
  EXPECT_THAT(missing, IsEmpty()) << "declared, but not read or written";
  EXPECT_THAT(extra, IsEmpty()) << "read or written, but not declared";
}

// A value that says something for every field of a schema.
json sample(const YAML::Node& schema) {
  if (is_true(schema["x-kubernetes-int-or-string"])) return "500m";
  const std::string type = schema["type"].as<std::string>();
  if (schema["enum"]) return schema["enum"][schema["enum"].size() - 1].as<std::string>();
  if (type == "string") {
    return schema["format"] && schema["format"].as<std::string>() == "date-time" ? "2024-05-01T12:00:00Z" : "x";
  }
  if (type == "integer") return 7;
  if (type == "boolean") return true;
  if (type == "array") return json::array({sample(schema["items"])});
  if (schema["additionalProperties"]) return json{{"k", sample(schema["additionalProperties"])}};
  if (is_true(schema["x-kubernetes-preserve-unknown-fields"])) return json{{"nodeAffinity", json::object()}};
  json object = json::object();
  for (const auto& property : schema["properties"]) {
    object[property.first.as<std::string>()] = sample(property.second);
  }
  return object;
}

TEST(Crd, LosesNothingBetweenReadingAndWriting) {
  const YAML::Node properties = crd_schema()["properties"];
  const json document = {
      {"metadata", {{"name", "app"}}}, {"spec", sample(properties["spec"])}, {"status", sample(properties["status"])}};
  const auto build = ImageBuild::parse(document.dump());
  ASSERT_TRUE(build.ok());
  ASSERT_FALSE(build->spec_error) << build->spec_error->message;
  EXPECT_EQ(json::parse(spec_json(build->spec)), document["spec"]);
  EXPECT_EQ(json::parse(status_json(build->status)), document["status"]);
}

TEST(Crd, HasTheLimitsThatRunCanHave) {
  std::vector<std::string> words;
  const YAML::Node ulimits = crd_schema()["properties"]["spec"]["properties"]["ulimits"];
  for (const auto& word : ulimits["items"]["properties"]["name"]["enum"]) words.push_back(word.as<std::string>());
  EXPECT_THAT(words, testing::ElementsAreArray(kRunLimitNames));
}

// Every word of an enum can be read.
TEST(Crd, HasTheSameWordsAsTheTypes) {
  walk_schema("spec", crd_schema()["properties"]["spec"], [&](const std::string& name, const YAML::Node& schema) {
    if (name != "spec.output.compression" && name != "spec.artifacts.transport") return;
    for (const auto& word : schema["enum"]) {
      json value = word.as<std::string>();
      std::string path = name;
      while (!path.empty()) {
        const auto dot = path.rfind('.');
        const std::string key = path.substr(dot == std::string::npos ? 0 : dot + 1);
        value = json{{key, value}};
        path = dot == std::string::npos ? "" : path.substr(0, dot);
      }
      value["metadata"] = {{"name", "app"}};
      const auto build = ImageBuild::parse(value.dump());
      ASSERT_TRUE(build.ok());
      EXPECT_FALSE(build->spec_error) << build->spec_error->message;
    }
  });
}

}  // namespace
}  // namespace imagebuild::api
