#include "builder/prepare/run_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imagebuild::builder {
namespace {

using testing::HasSubstr;

TEST(RunSettings, HostsAreRead) {
  const struct {
    const char* text;
    api::HostAlias expected;
  } rows[] = {
      {"db:10.0.0.7", {"db", "10.0.0.7"}}, {"db=10.0.0.7", {"db", "10.0.0.7"}},
      {"db:::1", {"db", "::1"}},           {"db=fe80::1", {"db", "fe80::1"}},
      {"db:[fe80::1]", {"db", "fe80::1"}}, {"a.b-c_d:127.0.0.1", {"a.b-c_d", "127.0.0.1"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto host = parse_host(row.text);
    ASSERT_TRUE(host.ok()) << host.error().message;
    EXPECT_TRUE(*host == row.expected);
  }
  for (const char* text : {"", "db", ":1.2.3.4", "db:", "db:host", "db:1.2.3", "d b:1.2.3.4", "#:1.2.3.4", "db:[1"}) {
    EXPECT_FALSE(parse_host(text).ok()) << text;
  }
  EXPECT_EQ(parse_host("db:host-gateway").error().code, ErrorCode::kUnsupported);
}

TEST(RunSettings, LimitsAreRead) {
  const struct {
    const char* text;
    api::Ulimit expected;
  } rows[] = {
      {"nofile=1024", {"nofile", 1024, 1024}},
      {"nofile=1024:2048", {"nofile", 1024, 2048}},
      {"core=-1", {"core", -1, -1}},
      {"stack=0:-1", {"stack", 0, -1}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto limit = parse_ulimit(row.text);
    ASSERT_TRUE(limit.ok()) << limit.error().message;
    EXPECT_TRUE(*limit == row.expected);
  }
  const struct {
    const char* text;
    const char* message;
  } wrong[] = {
      {"nofile", "has no value"},      {"nofiles=1", "did you mean 'nofile'"}, {"x=1", "it can be core"},
      {"nofile=", "are numbers"},      {"nofile=1:", "are numbers"},           {"nofile=1k", "are numbers"},
      {"nofile=2:1", "not be above"},  {"nofile=-1:5", "not be above"},        {"nofile=-2", "are numbers"},
      {"nofile=1:2:3", "are numbers"},
  };
  for (const auto& row : wrong) {
    SCOPED_TRACE(row.text);
    const auto limit = parse_ulimit(row.text);
    ASSERT_FALSE(limit.ok());
    EXPECT_THAT(limit.error().message, HasSubstr(row.message));
  }
}

TEST(RunSettings, SizesAreRead) {
  const struct {
    const char* text;
    std::uint64_t expected;
  } rows[] = {
      {"1", 1},      {"64b", 64},           {"128m", 128ULL << 20}, {"1g", 1ULL << 30}, {"64MiB", 64ULL << 20},
      {"2KB", 2048}, {"1.5gb", 3ULL << 29}, {"1 g", 1ULL << 30},    {"1t", 1ULL << 40},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto bytes = parse_bytes(row.text);
    ASSERT_TRUE(bytes.ok()) << bytes.error().message;
    EXPECT_EQ(*bytes, row.expected);
  }
  for (const char* text : {"", "m", "-1", "0", "0.1", "1x", "1mm", "1mb2", "9999p", "inf", "nan", "1e3", "0x10"}) {
    EXPECT_FALSE(parse_bytes(text).ok()) << text;
  }
}

}  // namespace
}  // namespace imagebuild::builder
