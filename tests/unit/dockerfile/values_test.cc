#include "dockerfile/values.h"

#include <gtest/gtest.h>

#include "dockerfile/durations.h"

namespace imagebuild::dockerfile {
namespace {

TEST(ParseDuration, ReadsGoSyntax) {
  struct Row {
    const char* text;
    std::int64_t nanoseconds;
  };
  for (const Row& row : {
           Row{"0", 0},
           {"-0", 0},
           {"1ns", 1},
           {"1us", 1'000},
           {"1µs", 1'000},
           {"1μs", 1'000},
           {"5ms", 5'000'000},
           {"30s", 30'000'000'000},
           {"1m30s", 90'000'000'000},
           {"1h1m1s", 3'661'000'000'000},
           {"1.5s", 1'500'000'000},
           {".5s", 500'000'000},
           {"1.s", 1'000'000'000},
           {"-2s", -2'000'000'000},
           {"+2s", 2'000'000'000},
       }) {
    const auto duration = parse_duration(row.text);
    ASSERT_TRUE(duration) << row.text;
    EXPECT_EQ(duration->count(), row.nanoseconds) << row.text;
  }
}

TEST(ParseDuration, RefusesWhatGoRefuses) {
  for (const char* text : {"", "-", "5", "s", ".s", "1x", "1s 2s", "1d", "99999999999h", "9223372036854775808ns"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(ParsePortRange, NamesPortsAsAnImageConfigDoes) {
  struct Row {
    const char* text;
    std::vector<std::string> ports;
  };
  for (const Row& row : {
           Row{"80", {"80/tcp"}},
           {"80/", {"80/tcp"}},
           {"53/UDP", {"53/udp"}},
           {"9/sctp", {"9/sctp"}},
           {"8000-8002", {"8000/tcp", "8001/tcp", "8002/tcp"}},
           {"65535", {"65535/tcp"}},
           {"8080:80", {"80/tcp"}},
           {"127.0.0.1:8080:80/udp", {"80/udp"}},
       }) {
    const auto range = parse_port_range(row.text);
    ASSERT_TRUE(range.ok()) << row.text;
    EXPECT_EQ(ports_of(*range), row.ports) << row.text;
  }
  for (const char* text : {"", "0", "65536", "http", "80-", "-80", "9-8", "80/icmp", "8 0", "+80"}) {
    EXPECT_FALSE(parse_port_range(text).ok()) << text;
  }
}

TEST(CheckSignal, KnowsNamesAndNumbers) {
  for (const char* text : {"SIGTERM", "term", "Kill", "9", "15", "SIGRTMIN", "RTMIN+15", "SIGRTMAX-14", "sigusr1"}) {
    EXPECT_TRUE(check_signal(text).ok()) << text;
  }
  for (const char* text : {"", "0", "-1", "SIG", "SIGFOO", "RTMIN+16", "RTMIN+", "RTMAX-0", "9x"}) {
    EXPECT_FALSE(check_signal(text).ok()) << text;
  }
}

TEST(CheckMode, KnowsOctalAndSymbolicModes) {
  for (const char* text : {"0", "755", "0644", "7777", "u+x", "a=r,u+wX", "=", "go-rwx", "u=rwX,g=u", "+t"}) {
    EXPECT_TRUE(check_mode(text).ok()) << text;
  }
  for (const char* text : {"", "8", "789", "10000", "0x1f", "rwx", "u", "u+x,", ",u+x", "u+y", "-1"}) {
    EXPECT_FALSE(check_mode(text).ok()) << text;
  }
}

}  // namespace
}  // namespace imagebuild::dockerfile
