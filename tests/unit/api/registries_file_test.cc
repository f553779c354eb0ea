#include "api/registries_file.h"

#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

TEST(RegistriesFile, ReadsEveryKey) {
  const auto file = RegistriesFile::parse(R"(registries:
  docker.io:
    mirrors: ["http://127.0.0.1:5000", https://m.corp]
  registry.corp:5000:
    caFile: /etc/ssl/corp.pem
  lab.corp:
    plainHTTP: true
    skipTLSVerify: true
)",
                                          "registries.yaml");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const std::map<std::string, RegistryEntry> expected = {
      {"docker.io", {{"http://127.0.0.1:5000", "https://m.corp"}, "", false, false}},
      {"registry.corp:5000", {{}, "/etc/ssl/corp.pem", false, false}},
      {"lab.corp", {{}, "", true, true}}};
  EXPECT_EQ(file->registries, expected);
}

TEST(RegistriesFile, MayBeEmpty) {
  for (const char* text : {"", "# nothing\n", "registries:\n", "registries: {}\n"}) {
    const auto file = RegistriesFile::parse(text, "f");
    ASSERT_TRUE(file.ok()) << text;
    EXPECT_TRUE(file->registries.empty());
  }
}

TEST(RegistriesFile, SaysWhereAndWhatIsWrong) {
  const struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"registries:\n  a:\n    miror: []\n", "f.yaml:3:5: unknown key 'miror'; did you mean 'mirrors'?"},
      {"registry: {}\n", "f.yaml:1:1: unknown key 'registry'; did you mean 'registries'?"},
      {"registries:\n  a:\n    plainHTTP: perhaps\n", "f.yaml:3:16: must be true or false"},
      {"registries:\n  a:\n    mirrors: x\n", "f.yaml:3:14: mirrors must be a list"},
      {"registries: [a]\n", "f.yaml:1:13: registries must be a map"},
      {"- a\n", "f.yaml:1:1: the file must be a map"},
      {"registries:\n  a: b\n", "f.yaml:2:6: a registry's entry must be a map"},
      {"a: [", "f.yaml:1:"},
  };
  for (const auto& row : rows) {
    const auto file = RegistriesFile::parse(row.text, "f.yaml");
    ASSERT_FALSE(file.ok()) << row.text;
    EXPECT_EQ(file.error().message.substr(0, std::string(row.message).size()), row.message);
    EXPECT_EQ(file.error().code, ErrorCode::kInvalidInput);
  }
}

}  // namespace
}  // namespace imagebuild::api
