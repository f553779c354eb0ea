#include "registry/hosts.h"

#include <gtest/gtest.h>

namespace imagebuild::registry {
namespace {

struct Origin {
  const char* name;
  std::string registry;
  HostRule rule;
  std::string expected;
};

class ReachesOrigin : public testing::TestWithParam<Origin> {};

TEST_P(ReachesOrigin, OverTheRightScheme) {
  HostRules rules;
  rules.by_registry[GetParam().registry] = GetParam().rule;
  const auto endpoint = rules.origin(GetParam().registry);
  ASSERT_TRUE(endpoint.ok()) << endpoint.error().message;
  EXPECT_EQ(endpoint->base.str(), GetParam().expected);
  EXPECT_EQ(endpoint->name, GetParam().registry);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ReachesOrigin,
    testing::Values(Origin{"DockerHub", "docker.io", {}, "https://registry-1.docker.io/"},
                    Origin{"Normal", "ghcr.io", {}, "https://ghcr.io/"},
                    Origin{"Port", "r.corp:5000", {}, "https://r.corp:5000/"},
                    Origin{"Insecure", "r.corp:5000", {.plain_http = true}, "http://r.corp:5000/"},
                    Origin{"Localhost", "localhost:5000", {}, "http://localhost:5000/"},
                    Origin{"LoopbackAddress", "127.0.0.3:5000", {}, "http://127.0.0.3:5000/"},
                    Origin{"LoopbackIpv6", "[::1]:5000", {}, "http://[::1]:5000/"},
                    Origin{"LoopbackWithCa", "localhost:5000", {.ca_file = "/ca.pem"}, "https://localhost:5000/"},
                    Origin{"LoopbackWithoutVerification", "localhost", {.skip_tls_verify = true}, "https://localhost/"},
                    Origin{"LooksLikeLoopback", "127.0.0.1.example.org", {}, "https://127.0.0.1.example.org/"}),
    [](const auto& row) { return row.param.name; });

TEST(HostRules, AskMirrorsInOrderThenTheOrigin) {
  HostRules rules;
  ASSERT_TRUE(rules.add_mirror("docker.io=http://10.0.0.1:5000").ok());
  ASSERT_TRUE(rules.add_mirror("docker.io=mirror.corp/hub/").ok());
  ASSERT_TRUE(rules.add_mirror("docker.io=localhost:5001").ok());
  const auto endpoints = rules.for_pull("docker.io");
  ASSERT_TRUE(endpoints.ok()) << endpoints.error().message;
  std::vector<std::string> bases;
  for (const Endpoint& endpoint : *endpoints) bases.push_back(endpoint.base.str());
  EXPECT_EQ(bases, (std::vector<std::string>{"http://10.0.0.1:5000/", "https://mirror.corp/hub/",
                                             "http://localhost:5001/", "https://registry-1.docker.io/"}));
  EXPECT_TRUE(endpoints->front().mirror);
  EXPECT_EQ(endpoints->front().name, "10.0.0.1:5000");
  EXPECT_FALSE(endpoints->back().mirror);
  EXPECT_EQ(rules.for_pull("ghcr.io")->size(), 1U);
}

TEST(HostRules, RefuseBadMirrors) {
  HostRules rules;
  for (const char* text : {"", "docker.io", "=http://x", "docker.io=", "docker.io=ftp://x", "docker.io=http://a b",
                           "docker.io/library=http://x", "docker.io=http://x/?q=1"}) {
    const Status added = rules.add_mirror(text);
    ASSERT_FALSE(added.ok()) << text;
    EXPECT_EQ(added.error().code, ErrorCode::kInvalidInput);
  }
  EXPECT_TRUE(rules.for_pull("docker.io")->size() == 1);
}

}  // namespace
}  // namespace imagebuild::registry
