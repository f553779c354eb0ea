#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "api/image_build.h"
#include "api/reasons.h"
#include "unit/api/crd_schema.h"

// docs/reference/imagebuild.md has tables between markers; here is what must stand in them. A failure prints the table
// to put there.
namespace imagebuild::api {
namespace {

std::string page() {
  std::ifstream file(top_folder() + "docs/reference/imagebuild.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands between "<!-- name -->" and "<!-- end -->".
std::string section(const std::string& name) {
  const std::string text = page(), begin = "<!-- " + name + " -->\n";
  const auto from = text.find(begin);
  if (from == std::string::npos) return "there is no section " + name;
  const auto to = text.find("<!-- end -->", from);
  return text.substr(from + begin.size(), to - from - begin.size());
}

std::string type_of(const YAML::Node& schema) {
  if (schema["x-kubernetes-int-or-string"]) return "quantity";
  const std::string type = schema["type"].as<std::string>();
  if (const YAML::Node words = schema["enum"]) {
    std::string list;
    for (const auto& word : words) list += (list.empty() ? "`" : ", `") + word.as<std::string>() + "`";
    return list;
  }
  if (schema["format"] && schema["format"].as<std::string>() == "date-time") return "time";
  if (type == "array") return "list";
  return schema["additionalProperties"] ? "map" : type;
}

std::string fields_table(const char* part) {
  std::string table = "| field | type | meaning |\n|---|---|---|\n";
  walk_schema(part, crd_schema()["properties"][part], [&](const std::string& name, const YAML::Node& schema) {
    // The elements of lists and maps have no line of their own, and stageDefaults repeats what stages[] has.
    if (name == part || name.ends_with("[]") || name.ends_with("{}") || name.starts_with("spec.stageDefaults.")) return;
    std::string own = "`" + name.substr(std::string(part).size() + 1) + "`";
    table += "| " + own + " | " + type_of(schema) + " | " + schema["description"].as<std::string>() + " |\n";
  });
  return table;
}

std::string reasons_table(reason::Kind kind) {
  std::string table = "| reason | meaning |\n|---|---|\n";
  for (const reason::Reason& entry : reason::kTable) {
    if (entry.kind == kind) table += "| `" + std::string(entry.name) + "` | " + std::string(entry.meaning) + " |\n";
  }
  return table;
}

TEST(ImageBuildPage, DescribesEveryField) {
  EXPECT_EQ(section("spec"), fields_table("spec"));
  EXPECT_EQ(section("status"), fields_table("status"));
}

TEST(ImageBuildPage, DescribesEveryReason) {
  const std::map<std::string, reason::Kind> kSections = {
      {"progress", reason::Kind::kProgress}, {"waiting", reason::Kind::kWaiting}, {"ended", reason::Kind::kEnd},
      {"failure", reason::Kind::kFailure},   {"lost", reason::Kind::kLost},       {"events", reason::Kind::kEvent}};
  for (const auto& [name, kind] : kSections) EXPECT_EQ(section(name), reasons_table(kind)) << name;
}

TEST(ImageBuildPage, DescribesEveryCondition) {
  const std::string text = page();
  for (const char* type : {kReadyCondition, kReconcilingCondition, kStalledCondition, kSucceededCondition}) {
    EXPECT_NE(text.find("| `" + std::string(type) + "` |"), std::string::npos) << type;
  }
}

}  // namespace
}  // namespace imagebuild::api
