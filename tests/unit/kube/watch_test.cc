#include "kube/watch.h"

#include "unit/kube/api_fixture.h"
#include "unit/kube/contract.h"

namespace imagebuild::kube {
namespace {

using contract::config_map;
using contract::config_maps;

std::string event(const std::string& type, const std::string& name, const std::string& version) {
  return Json{{"type", type}, {"object", {{"metadata", {{"name", name}, {"resourceVersion", version}}}}}}.dump();
}

class WatchTest : public ApiFixture {
 protected:
  // Opens a watch that gets `stream` as it is.
  ApiResult<Watch> watch_of(const std::string& stream) {
    api.inject({.watches_only = true, .stream = stream});
    return Watch::open(client, config_maps(), {.resource_version = "5"}, {});
  }
  Client client{transport, options()};
};

TEST_F(WatchTest, ReadsEventsAndRemembersWhereItIs) {
  auto watch = watch_of(event("ADDED", "a", "7") + "\n\n" + event("BOOKMARK", "", "9") + "\n");
  ASSERT_API_OK(watch);
  EXPECT_EQ(watch->resource_version(), "5");
  auto first = watch->next();
  ASSERT_API_OK(first);
  EXPECT_EQ((**first).type, WatchEvent::Type::kAdded);
  EXPECT_EQ(watch->resource_version(), "7");
  auto second = watch->next();
  ASSERT_API_OK(second);
  EXPECT_EQ((**second).type, WatchEvent::Type::kBookmark);
  EXPECT_EQ(watch->resource_version(), "9");
  const auto end = watch->next();
  ASSERT_API_OK(end);
  EXPECT_FALSE(end->has_value());
}

TEST_F(WatchTest, AsksForBookmarksATimeoutAndItsVersion) {
  ASSERT_API_OK(watch_of("\n"));
  const auto request = api.requests().at(0);
  EXPECT_EQ(request.query.at("allowWatchBookmarks"), "true");
  EXPECT_EQ(request.query.at("timeoutSeconds"), "300");
  EXPECT_EQ(request.query.at("resourceVersion"), "5");
}

TEST_F(WatchTest, ReportsExpiredVersionsInTheStream) {
  auto watch = watch_of(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
                        "\n");
  ASSERT_API_OK(watch);
  const auto next = watch->next();
  ASSERT_FALSE(next.ok());
  EXPECT_TRUE(next.error().is_gone());
}

TEST_F(WatchTest, ReportsExpiredVersionsAsAnAnswer) {
  api.inject({.status = 410, .reason = "Expired"});
  const auto watch = Watch::open(client, config_maps(), {}, {});
  ASSERT_FALSE(watch.ok());
  EXPECT_TRUE(watch.error().is_gone());
}

TEST_F(WatchTest, TakesHalfAnEventForABreak) {
  auto watch = watch_of(event("ADDED", "a", "7") + "\n{\"type\":\"ADD");
  ASSERT_API_OK(watch);
  ASSERT_API_OK(watch->next());
  const auto next = watch->next();
  ASSERT_FALSE(next.ok());
  EXPECT_EQ(next.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(watch->resource_version(), "7");
}

TEST_F(WatchTest, RefusesLinesThatAreNoEvents) {
  for (const char* line : {"not json\n", "[]\n", "{\"type\":\"STRANGE\",\"object\":{}}\n", "{\"type\":\"ADDED\"}\n"}) {
    auto watch = watch_of(line);
    ASSERT_API_OK(watch);
    const auto next = watch->next();
    ASSERT_FALSE(next.ok()) << line;
    EXPECT_EQ(next.error().code, ErrorCode::kCorrupt);
  }
}

TEST_F(WatchTest, BoundsTheLengthOfAnEvent) {
  auto watch = watch_of("{\"type\":\"" + std::string(Watch::kMaxLineBytes + 1'000'000, 'x'));
  ASSERT_API_OK(watch);
  const auto next = watch->next();
  ASSERT_FALSE(next.ok());
  EXPECT_EQ(next.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace imagebuild::kube
