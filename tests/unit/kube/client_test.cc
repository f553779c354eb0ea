#include "kube/client.h"

#include "base/file.h"
#include "unit/kube/api_fixture.h"
#include "unit/kube/contract.h"

namespace imagebuild::kube {
namespace {

using contract::config_map;
using contract::config_maps;
using fakes::ApiFault;

class ClientTest : public ApiFixture {
 protected:
  Client client{transport, options()};
};

TEST_F(ClientTest, AsksForPathsOfGroupsAndNamespaces) {
  EXPECT_EQ(pods().path("ns", "p", "log"), "/api/v1/namespaces/ns/pods/p/log");
  EXPECT_EQ(leases().path(""), "/apis/coordination.k8s.io/v1/leases");
  const Resource cluster{"g.example", "v1", "things", "Thing", false};
  EXPECT_EQ(cluster.path("ignored", "a/b"), "/apis/g.example/v1/things/a%2Fb");
}

TEST_F(ClientTest, SaysWhoItIs) {
  ClientOptions named = options();
  named.user_agent = "imagebuild/1 (test)";
  ASSERT_FALSE(Client(transport, named).get(config_maps(), {"ns", "a"}).ok());
  EXPECT_EQ(api.requests().at(0).user_agent, "imagebuild/1 (test)");
}

TEST_F(ClientTest, AsksAgainWhatMayBeAskedAgain) {
  api.put(config_maps(), config_map("ns", "a"));
  api.inject({.method = "GET", .drop = true});
  api.inject({.method = "GET", .status = 503});
  EXPECT_API_OK(client.get(config_maps(), {"ns", "a"}));
  EXPECT_EQ(api.count("GET"), 3);
  EXPECT_EQ(waits(), (std::vector<long>{250, 500}));
}

TEST_F(ClientTest, WaitsAsLongAsTheServerAsks) {
  api.inject({.status = 429, .reason = "TooManyRequests", .retry_after = "7"});
  EXPECT_API_OK(client.create(config_maps(), config_map("ns", "a")));
  EXPECT_EQ(waits(), (std::vector<long>{7000}));
}

TEST_F(ClientTest, GivesUpWithTheLastAnswer) {
  api.inject({.times = 100, .status = 500, .reason = "InternalError"});
  const auto got = client.get(config_maps(), {"ns", "a"});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().status, 500);
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(api.count("GET"), 5);
}

TEST_F(ClientTest, NeverCreatesTwice) {
  api.inject({.method = "POST", .drop_after = true});
  const auto created = client.create(config_maps(), config_map("ns", "a"));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(api.count("POST"), 1);
  const auto again = client.create(config_maps(), config_map("ns", "a"));
  ASSERT_FALSE(again.ok());
  EXPECT_TRUE(again.error().is_already_exists());
}

TEST_F(ClientTest, AppliesAgainAfterALostAnswer) {
  api.inject({.method = "PATCH", .drop_after = true});
  EXPECT_API_OK(client.apply(config_maps(), config_map("ns", "a"), {.field_manager = "m"}));
  EXPECT_EQ(api.count("PATCH"), 2);
}

TEST_F(ClientTest, LeavesRefusalsAlone) {
  struct Row {
    int status;
    const char* reason;
    ErrorCode code;
  };
  const Row rows[] = {{400, "BadRequest", ErrorCode::kInvalidInput},
                      {403, "Forbidden", ErrorCode::kDenied},
                      {404, "NotFound", ErrorCode::kNotFound},
                      {405, "MethodNotAllowed", ErrorCode::kUnsupported},
                      {409, "Conflict", ErrorCode::kUnavailable},
                      {409, "AlreadyExists", ErrorCode::kInvalidInput},
                      {410, "Expired", ErrorCode::kUnavailable},
                      {413, "", ErrorCode::kLimit},
                      {415, "", ErrorCode::kUnsupported},
                      {422, "Invalid", ErrorCode::kInvalidInput}};
  for (const Row& row : rows) {
    api.inject({.status = row.status, .reason = row.reason});
    const auto got = client.get(config_maps(), {"ns", "a"});
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, row.code) << row.status;
    EXPECT_EQ(got.error().status, row.status);
    EXPECT_EQ(got.error().reason, row.reason);
  }
  EXPECT_TRUE(waits().empty());
}

TEST_F(ClientTest, NamesTheFieldsOfAnInvalidObject) {
  api.set_validator([](const fakes::ApiTarget&, const Json&) {
    return Json::array({{{"field", "spec.output"}, {"reason", "FieldValueRequired"}, {"message", "Required value"}}});
  });
  const auto created = client.create(config_maps(), config_map("ns", "a"));
  ASSERT_FALSE(created.ok());
  EXPECT_TRUE(created.error().is_invalid());
  ASSERT_EQ(created.error().causes.size(), 1U);
  EXPECT_EQ(created.error().causes[0].field, "spec.output");
  const Result<Json> plain = created.error();
  EXPECT_EQ(plain.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(plain.error().message.find("create configmaps ns/a"), std::string::npos) << plain.error().message;
}

TEST_F(ClientTest, ReadsItsTokenAgainWhenItIsRefused) {
  const auto folder = *TempDir::create("token");
  const auto file = folder.path() / "token";
  ASSERT_TRUE(write_file_atomically(file, "old\n").ok());
  ClientOptions with_token = options();
  with_token.token = std::make_shared<FileToken>(file, [] { return WallTime{}; });
  const Client rotating(transport, with_token);
  api.require_token({"old"});
  api.put(config_maps(), config_map("ns", "a"));
  ASSERT_API_OK(rotating.get(config_maps(), {"ns", "a"}));
  api.require_token({"new"});
  ASSERT_TRUE(write_file_atomically(file, "new\n").ok());
  EXPECT_API_OK(rotating.get(config_maps(), {"ns", "a"}));
  api.require_token({"other"});
  const auto refused = rotating.get(config_maps(), {"ns", "a"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().status, 401);
  EXPECT_EQ(refused.error().code, ErrorCode::kDenied);
}

TEST_F(ClientTest, CountsEveryTry) {
  std::vector<std::string> seen;
  ClientOptions counting = options();
  counting.on_request = [&](const std::string& method, int code) {
    seen.push_back(method + " " + std::to_string(code));
  };
  api.inject({.drop = true});
  api.inject({.status = 502});
  (void)Client(transport, counting).get(config_maps(), {"ns", "a"});
  EXPECT_EQ(seen, (std::vector<std::string>{"GET 0", "GET 502", "GET 404"}));
}

TEST_F(ClientTest, StartsAListAnewWhenItsTokenExpires) {
  for (int i = 0; i < 5; ++i) api.put(config_maps(), config_map("ns", "m" + std::to_string(i)));
  int starts = 0, items = 0;
  const auto version = client.list_pages(
      config_maps(), "ns", {.page_size = 2},
      [&] {
        ++starts;
        items = 0;
      },
      [&](const Json&) {
        ++items;
        if (starts == 1 && items == 2) {
          api.put(config_maps(), config_map("ns", "new"));
          api.compact();
        }
      });
  ASSERT_API_OK(version);
  EXPECT_EQ(starts, 2);
  EXPECT_EQ(items, 6);
}

TEST_F(ClientTest, AsksForTheWholeListWhenPagesKeepExpiring) {
  for (int i = 0; i < 5; ++i) api.put(config_maps(), config_map("ns", "m" + std::to_string(i)));
  int items = 0;
  const auto version = client.list_pages(
      config_maps(), "ns", {.page_size = 2}, [&] { items = 0; },
      [&](const Json&) {
        ++items;
        api.put(config_maps(), config_map("ns", "m0", std::to_string(api.requests().size())));
        api.compact();
      });
  ASSERT_API_OK(version);
  EXPECT_EQ(items, 5);
}

TEST_F(ClientTest, ReadsTheEndOfALog) {
  api.set_log({"ns", "p"}, "c", "one\ntwo\nthree\n");
  const auto tail = client.pod_log({"ns", "p"}, {.container = "c", .tail_lines = 2});
  ASSERT_API_OK(tail);
  EXPECT_EQ(*tail, "two\nthree\n");
  const auto bounded = client.pod_log({"ns", "p"}, {.container = "c", .limit_bytes = 3});
  ASSERT_API_OK(bounded);
  EXPECT_EQ(*bounded, "one");
  EXPECT_FALSE(client.pod_log({"ns", "none"}).ok());
}

TEST_F(ClientTest, UpdatesTheStatusAlone) {
  const Resource builds{"imagebuild.dev", "v1alpha1", "imagebuilds", "ImageBuild", true};
  Json object = {{"apiVersion", "imagebuild.dev/v1alpha1"},
                 {"kind", "ImageBuild"},
                 {"metadata", {{"namespace", "ns"}, {"name", "b"}}},
                 {"spec", {{"x", 1}}}};
  auto created = client.create(builds, object);
  ASSERT_API_OK(created);
  (*created)["spec"]["x"] = 2;
  (*created)["status"] = {{"phase", "Running"}};
  const auto updated = client.update_status(builds, *created);
  ASSERT_API_OK(updated);
  EXPECT_EQ(text_at(*updated, {"status", "phase"}), "Running");
  EXPECT_EQ(number_at(*updated, {"spec", "x"}), 1);
  EXPECT_EQ(number_at(*updated, {"metadata", "generation"}), 1);
  const auto applied = client.apply(builds,
                                    {{"apiVersion", "imagebuild.dev/v1alpha1"},
                                     {"kind", "ImageBuild"},
                                     {"metadata", {{"namespace", "ns"}, {"name", "b"}}},
                                     {"status", {{"phase", "Done"}}}},
                                    {.field_manager = "m", .force = true, .subresource = "status"});
  ASSERT_API_OK(applied);
  EXPECT_EQ(text_at(*applied, {"status", "phase"}), "Done");
  EXPECT_EQ(number_at(*applied, {"spec", "x"}), 1);
}

TEST_F(ClientTest, GetsRawPaths) {
  const auto version = client.raw("/version");
  ASSERT_API_OK(version);
  EXPECT_NE(version->find("gitVersion"), std::string::npos);
}

TEST_F(ClientTest, StopsWhenAsked) {
  api.inject({.hang = true});
  std::stop_source stop;
  std::jthread canceller([&] {
    ASSERT_TRUE(api.wait_for_count("GET", "", 1));
    stop.request_stop();
  });
  const auto got = client.get(config_maps(), {"ns", "a"}, stop.get_token());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kCancelled);
}

TEST_F(ClientTest, RefusesAnAnswerBeyondItsBound) {
  ClientOptions small = options();
  small.max_answer_bytes = 100;
  api.put(config_maps(), config_map("ns", "a", std::string(1000, 'x')));
  const auto got = Client(transport, small).get(config_maps(), {"ns", "a"});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kLimit);
}

TEST_F(ClientTest, AsksForSmallerPagesWhenObjectsAreLarge) {
  for (int i = 0; i < 9; ++i) api.put(config_maps(), config_map("ns", "m" + std::to_string(i), std::string(4000, 'x')));
  ClientOptions small = options();
  small.max_answer_bytes = 12'000;
  const auto list = Client(transport, small).list(config_maps(), "ns", {.page_size = 8});
  ASSERT_API_OK(list);
  EXPECT_EQ(list->items.size(), 9U);
}

TEST(ErrorFromAnswer, ReadsWhatIsNoStatusToo) {
  const ApiError error = error_from_answer(502, "<html>bad\ngateway</html>", "get pods");
  EXPECT_EQ(error.message, "cannot get pods: the API server answered 502 (<html>bad gateway</html>)");
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
}

TEST(ErrorFromAnswer, KnowsAUsedUpQuotaAndADyingNamespace) {
  const ApiError quota = error_from_answer(
      403, R"({"kind":"Status","reason":"Forbidden","message":"pods \"x\" is forbidden: exceeded quota: q"})", "x");
  EXPECT_EQ(quota.code, ErrorCode::kExhausted);
  const ApiError dying = error_from_answer(
      403, R"({"kind":"Status","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}})", "x");
  EXPECT_TRUE(dying.is_namespace_terminating());
}

TEST(At, NeverInsertsAndNeverThrows) {
  const Json object = {{"a", {{"b", "text"}, {"n", 7}}}, {"list", Json::array()}};
  EXPECT_EQ(text_at(object, {"a", "b"}), "text");
  EXPECT_EQ(text_at(object, {"a", "n"}), "");
  EXPECT_EQ(number_at(object, {"a", "n"}), 7);
  EXPECT_EQ(number_at(object, {"a", "b"}, -1), -1);
  EXPECT_TRUE(at(object, {"list", "b"}).is_null());
  EXPECT_TRUE(at(Json("text"), {"b"}).is_null());
}

}  // namespace
}  // namespace imagebuild::kube
