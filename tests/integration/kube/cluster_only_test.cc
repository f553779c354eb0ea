// What only a whole cluster does, and our client must understand: rights, quotas, dying namespaces, pods and their
// logs.
#include "integration/kube/cluster_place.h"
#include "unit/kube/contract_things.h"

namespace imagebuild::kube {
namespace {

using contract::config_map;
using contract::config_maps;
using contract::eventually;

class ClusterOnly : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(place.ready()); }
  const Client& client() const { return place.client(); }
  const std::string& ns() const { return place.ns(); }

  // The server may know the namespace's service account, which a pod needs, a moment after its clients do.
  ApiResult<Json> create_pod(const Json& wanted) const {
    ApiResult<Json> created = client().create(pods(), wanted);
    (void)eventually([&] {
      const bool too_early = !created.ok() && created.error().message.find("service account") != std::string::npos;
      if (too_early) created = client().create(pods(), wanted);
      return !too_early;
    });
    return created;
  }

  Json pod(const std::string& name, const std::string& script) const {
    const Json container = {{"name", "main"}, {"image", place.image()}, {"command", {"sh", "-c", script}}};
    return {
        {"apiVersion", "v1"},
        {"kind", "Pod"},
        {"metadata", {{"namespace", ns()}, {"name", name}}},
        {"spec",
         {{"restartPolicy", "Never"}, {"terminationGracePeriodSeconds", 0}, {"containers", Json::array({container})}}}};
  }

  ClusterPlace place{Identity::kCertificate};
};

TEST_F(ClusterOnly, RefusesWhatRbacDoesNotAllow) {
  const auto token = place.token_of("nobody");
  ASSERT_API_OK(token);
  const Client nobody = place.client_with(std::make_shared<FixedToken>(*token));
  const auto listed = nobody.list(pods(), ns());
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().status, 403);
  EXPECT_EQ(listed.error().reason, "Forbidden");
  EXPECT_EQ(listed.error().code, ErrorCode::kDenied);
  EXPECT_NE(listed.error().message.find("cannot list resource \"pods\""), std::string::npos) << listed.error().message;
  const auto watched = Watch::open(nobody, pods(), {.ns = ns()}, {});
  ASSERT_FALSE(watched.ok());
  EXPECT_EQ(watched.error().status, 403);
  const auto created = nobody.create(config_maps(), config_map(ns(), "a"));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().code, ErrorCode::kDenied);
}

TEST_F(ClusterOnly, RefusesATokenThatItDidNotMake) {
  const Client stranger = place.client_with(std::make_shared<FixedToken>("nonsense"));
  const auto got = stranger.get(config_maps(), {ns(), "a"});
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().status, 401);
  EXPECT_EQ(got.error().code, ErrorCode::kDenied);
}

TEST_F(ClusterOnly, RefusesWhatExceedsTheQuota) {
  const Resource quotas{"", "v1", "resourcequotas", "ResourceQuota", true};
  const Json quota = {{"apiVersion", "v1"},
                      {"kind", "ResourceQuota"},
                      {"metadata", {{"namespace", ns()}, {"name", "none"}}},
                      {"spec", {{"hard", {{"pods", "0"}}}}}};
  ASSERT_API_OK(client().create(quotas, quota));
  ASSERT_TRUE(eventually([&] {
    const auto got = client().get(quotas, {ns(), "none"});
    return got.ok() && !at(*got, {"status", "used"}).is_null();
  }));
  const auto created = create_pod(pod("p", "true"));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().status, 403);
  EXPECT_EQ(created.error().code, ErrorCode::kExhausted) << created.error().message;
  EXPECT_NE(created.error().message.find("exceeded quota: none"), std::string::npos) << created.error().message;
}

TEST_F(ClusterOnly, SaysThatTheNamespaceIsTerminating) {
  const Resource namespaces{"", "v1", "namespaces", "Namespace", false};
  Json held = config_map(ns(), "held");
  held["metadata"]["finalizers"] = Json::array({"imagebuild.dev/test"});
  ASSERT_API_OK(client().create(config_maps(), held));
  ASSERT_API_OK(client().remove(namespaces, {"", ns()}));
  ApiError refused;
  // The server's admission learns of the deletion by a watch of its own.
  int number = 0;
  EXPECT_TRUE(eventually([&] {
    const auto created = client().create(config_maps(), config_map(ns(), "n" + std::to_string(number++)));
    if (!created.ok()) refused = created.error();
    return !created.ok();
  }));
  EXPECT_EQ(refused.status, 403);
  EXPECT_TRUE(refused.is_namespace_terminating()) << refused.message;
  EXPECT_API_OK(
      client().patch(config_maps(), {ns(), "held"}, PatchType::kMerge, {{"metadata", {{"finalizers", nullptr}}}}));
  EXPECT_TRUE(eventually([&] { return !client().get(namespaces, {"", ns()}).ok(); }));
}

TEST_F(ClusterOnly, ReadsTheLogOfAPod) {
  const auto early = client().pod_log({ns(), "talks"});
  ASSERT_FALSE(early.ok());
  EXPECT_TRUE(early.error().is_not_found());
  ASSERT_API_OK(create_pod(pod("talks", "for i in 1 2 3; do echo line $i; done")));
  ASSERT_TRUE(eventually([&] {
    const auto got = client().get(pods(), {ns(), "talks"});
    return got.ok() && text_at(*got, {"status", "phase"}) == "Succeeded";
  }));
  const auto log_with = [&](const LogOptions& options) {
    const auto log = client().pod_log({ns(), "talks"}, options);
    return log.ok() ? *log : "error: " + log.error().message;
  };
  EXPECT_EQ(log_with({}), "line 1\nline 2\nline 3\n");
  EXPECT_EQ(log_with({.container = "main", .tail_lines = 1}), "line 3\n");
  EXPECT_EQ(log_with({.limit_bytes = 9}), "line 1\nli");
  const auto other = client().pod_log({ns(), "talks"}, {.container = "other"});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().status, 400);
}

TEST_F(ClusterOnly, SaysThatAContainerHasNoLogYet) {
  Json waits = pod("waits", "true");
  waits["spec"]["nodeSelector"] = {{"imagebuild.dev/no-such-node", "true"}};
  ASSERT_API_OK(create_pod(waits));
  const auto log = client().pod_log({ns(), "waits"});
  // A pod without a node has an empty log, or a refusal: never a made-up text.
  if (log.ok()) {
    EXPECT_EQ(*log, "");
  } else {
    EXPECT_EQ(log.error().status, 400) << log.error().message;
  }
}

TEST_F(ClusterOnly, RemovesAPodWithItsOwner) {
  const auto owner = client().create(config_maps(), config_map(ns(), "owner"));
  ASSERT_API_OK(owner);
  Json owned = pod("owned", "sleep 1000");
  owned["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "v1"},
                                                       {"kind", "ConfigMap"},
                                                       {"name", "owner"},
                                                       {"uid", uid_of(*owner)},
                                                       {"controller", true},
                                                       {"blockOwnerDeletion", false}}});
  ASSERT_API_OK(create_pod(owned));
  ASSERT_API_OK(client().remove(config_maps(), {ns(), "owner"}, {.propagation = Propagation::kBackground}));
  EXPECT_TRUE(eventually([&] { return !client().get(pods(), {ns(), "owned"}).ok(); }));
}

}  // namespace
}  // namespace imagebuild::kube
