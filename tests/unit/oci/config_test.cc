#include <gtest/gtest.h>

#include "oci/manifest.h"

namespace imagebuild::oci {
namespace {

const std::string kDiff = Digest::of("layer").str();

// A config with these members beside the required ones.
std::string image(const std::string& members) {
  return R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]})" +
         (members.empty() ? "" : "," + members) + "}";
}

TEST(ImageConfig, IsWrittenSortedAndWithoutEmptyMembers) {
  ImageConfig empty;
  empty.platform = *Platform::parse("linux/arm64");
  EXPECT_EQ(empty.json(),
            R"({"architecture":"arm64","config":{},"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}})");
}

TEST(ImageConfig, KeepsEverythingOnTheWayThroughJson) {
  ImageConfig whole;
  whole.created = "2024-02-30T25:00:00Z";  // Text, whatever it says.
  whole.author = "someone";
  whole.platform = *Platform::parse("linux/arm/v6");
  whole.config = RunConfig{.user = "1000:1000",
                           .env = {"PATH=/bin", "EMPTY="},
                           .entrypoint = std::vector<std::string>{"/app"},
                           .cmd = std::vector<std::string>{"--serve", "a b"},
                           .volumes = {"/data", "/log"},
                           .exposed_ports = {"53/udp", "80/tcp"},
                           .working_dir = "/srv",
                           .labels = {{"k", "v"}},
                           .stop_signal = "SIGINT",
                           .healthcheck = Healthcheck{.test = {"CMD", "true"},
                                                      .interval_ns = 5'000'000'000,
                                                      .timeout_ns = 1,
                                                      .start_period_ns = 2,
                                                      .start_interval_ns = 3,
                                                      .retries = 4},
                           .shell = {"/bin/bash", "-c"},
                           .on_build = {"RUN x"}};
  whole.diff_ids = {Digest::of("layer")};
  whole.history = {History{.created = "c", .created_by = "b", .comment = "m", .author = "a"},
                   History{.created_by = "ENV", .empty_layer = true}};
  const Result<ImageConfig> parsed = ImageConfig::parse(whole.json());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->config, whole.config);
  EXPECT_EQ(parsed->history, whole.history);
  EXPECT_EQ(parsed->diff_ids, whole.diff_ids);
  EXPECT_EQ(parsed->platform, whole.platform);
  EXPECT_EQ(parsed->created, whole.created);
  EXPECT_EQ(parsed->json(), whole.json());
}

TEST(ImageConfig, TakesWhatDockerWrites) {
  const Result<ImageConfig> parsed = ImageConfig::parse(
      R"({"architecture":"arm64","variant":"v8","os":"linux","docker_version":"1.0","container_config":{"Cmd":["x"]},"created":null,)"
      R"("config":{"Hostname":"","Cmd":"one string","Entrypoint":null,"Env":["A=1","B","A=2","=x"],"Volumes":null,"ExposedPorts":{"80/tcp":{}},"OnBuild":null,"Labels":null,"ArgsEscaped":true},)"
      R"("rootfs":{"type":"layers","diff_ids":null}})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->platform.str(), "linux/arm64");
  EXPECT_EQ(parsed->config.cmd, std::vector<std::string>{"one string"});
  EXPECT_FALSE(parsed->config.entrypoint.has_value());
  EXPECT_EQ(parsed->config.env, (std::vector<std::string>{"A=2", "B="}));
  EXPECT_EQ(parsed->config.exposed_ports, std::vector<std::string>{"80/tcp"});
}

TEST(ImageConfig, WritesBytesThatAreNotUtf8AsReplacements) {
  ImageConfig odd;
  odd.config.env = {"A=\xff"};
  const Result<ImageConfig> parsed = ImageConfig::parse(odd.json());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->config.env.at(0), "A=\xef\xbf\xbd");
}

struct HistoryRow {
  const char* name;
  std::size_t layers;
  std::vector<bool> empty_before, empty_after;
};

class Histories : public testing::TestWithParam<HistoryRow> {};

TEST_P(Histories, TellOneEntryForEachLayer) {
  ImageConfig subject;
  subject.diff_ids.assign(GetParam().layers, Digest::of("layer"));
  for (const bool empty : GetParam().empty_before) subject.history.push_back(History{.empty_layer = empty});
  subject.align_history();
  std::vector<bool> after;
  for (const History& entry : subject.history) after.push_back(entry.empty_layer);
  EXPECT_EQ(after, GetParam().empty_after);
}

INSTANTIATE_TEST_SUITE_P(Table, Histories,
                         testing::Values(HistoryRow{"Right", 1, {true, false}, {true, false}},
                                         HistoryRow{"None", 2, {}, {false, false}},
                                         HistoryRow{"TooFew", 2, {false, true}, {false, true, false}},
                                         HistoryRow{"TooMany", 1, {false, true, false}, {true, true, false}},
                                         HistoryRow{"NoLayers", 0, {false}, {true}}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(ImageConfig, RepairsAHistoryButDoesNotInventOne) {
  const std::string rootfs = R"("rootfs":{"type":"layers","diff_ids":[")" + kDiff + R"("]})";
  EXPECT_TRUE(ImageConfig::parse("{" + rootfs + "}")->history.empty());
  EXPECT_EQ(ImageConfig::parse("{" + rootfs + R"(,"history":[{"empty_layer":true}]})")->history.size(), 2U);
}

struct Wrong {
  const char* name;
  std::string text;
  const char* message;
  ErrorCode code = ErrorCode::kCorrupt;
};

class WrongConfigs : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfigs, AreRefusedWithThePlace) {
  const Result<ImageConfig> parsed = ImageConfig::parse(GetParam().text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, GetParam().code) << parsed.error().message;
  EXPECT_NE(parsed.error().message.find(GetParam().message), std::string::npos) << parsed.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongConfigs,
    testing::Values(
        Wrong{"NotJson", "{", "not JSON"}, Wrong{"NoRootfs", "{}", "rootfs"},
        Wrong{"RootfsType", R"({"rootfs":{"type":"vhd"}})", "'vhd'", ErrorCode::kUnsupported},
        Wrong{"DiffIdsText", R"({"rootfs":{"type":"layers","diff_ids":"x"}})", "rootfs.diff_ids must be a list"},
        Wrong{"DiffIdWrong", R"({"rootfs":{"type":"layers","diff_ids":["x"]}})", "rootfs.diff_ids[0]"},
        Wrong{"ConfigList", image(R"("config":[])"), "config must be an object"},
        Wrong{"EnvText", image(R"("config":{"Env":"A=1"})"), "config.Env"},
        Wrong{"EnvNumber", image(R"("config":{"Env":[1]})"), "config.Env"},
        Wrong{"EnvNul", image(R"("config":{"Env":["A=\u0000"]})"), "NUL"},
        Wrong{"UserNul", image(R"("config":{"User":"root\u0000"})"), "NUL"},
        Wrong{"CmdNumber", image(R"("config":{"Cmd":1})"), "config.Cmd"},
        Wrong{"EntrypointMixed", image(R"("config":{"Entrypoint":["a",null]})"), "config.Entrypoint"},
        Wrong{"VolumesList", image(R"("config":{"Volumes":["/a"]})"), "config.Volumes"},
        Wrong{"LabelNumber", image(R"("config":{"Labels":{"a":1}})"), "config.Labels"},
        Wrong{"HealthcheckText", image(R"("config":{"Healthcheck":"x"})"), "config.Healthcheck"},
        Wrong{"HealthcheckNegative", image(R"("config":{"Healthcheck":{"Interval":-1}})"), "negative"},
        Wrong{"HealthcheckRetries", image(R"("config":{"Healthcheck":{"Retries":99999999999}})"), "Retries"},
        Wrong{"HistoryObject", image(R"("history":{})"), "history must be a list"},
        Wrong{"HistoryText", image(R"("history":["x"])"), "history[0]"},
        Wrong{"HistoryFlag", image(R"("history":[{"empty_layer":"yes"}])"), "history[0].empty_layer"},
        Wrong{"Architecture", R"({"architecture":"a b","rootfs":{"type":"layers"}})", "platform"},
        Wrong{"TooLarge", std::string(kMaxManifestBytes + 1, ' '), "at most", ErrorCode::kLimit}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::oci
