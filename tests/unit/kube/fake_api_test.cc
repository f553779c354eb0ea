// What the fake API server does beyond the contract: owners, finalizers, faults.
#include "unit/kube/api_fixture.h"
#include "unit/kube/contract.h"

namespace imagebuild::kube {
namespace {

using contract::config_map;
using contract::config_maps;

class FakeApiServerTest : public ApiFixture {
 protected:
  Json owned_by(const Json& owner, const std::string& name) {
    Json object = config_map("ns", name);
    object["metadata"]["ownerReferences"] = Json::array(
        {{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", key_of(owner).name}, {"uid", uid_of(owner)}}});
    return object;
  }
  Client client{transport, options()};
};

TEST_F(FakeApiServerTest, DeletesWhatADeletedObjectOwned) {
  const Json owner = api.put(config_maps(), config_map("ns", "owner"));
  const Json child = api.put(config_maps(), owned_by(owner, "child"));
  api.put(config_maps(), owned_by(child, "grandchild"));
  api.put(config_maps(), config_map("ns", "free"));
  ASSERT_API_OK(client.remove(config_maps(), {"ns", "owner"}));
  EXPECT_FALSE(api.find(config_maps(), {"ns", "child"}));
  EXPECT_FALSE(api.find(config_maps(), {"ns", "grandchild"}));
  EXPECT_TRUE(api.find(config_maps(), {"ns", "free"}));
}

TEST_F(FakeApiServerTest, LeavesOrphansWhenAsked) {
  const Json owner = api.put(config_maps(), config_map("ns", "owner"));
  api.put(config_maps(), owned_by(owner, "child"));
  ASSERT_API_OK(client.remove(config_maps(), {"ns", "owner"}, {.propagation = Propagation::kOrphan}));
  const auto child = api.find(config_maps(), {"ns", "child"});
  ASSERT_TRUE(child);
  EXPECT_TRUE(at(*child, {"metadata", "ownerReferences"}).is_null());
}

TEST_F(FakeApiServerTest, CountsGenerationsOfTheSpecOnly) {
  const Resource builds{"imagebuild.dev", "v1alpha1", "imagebuilds", "ImageBuild", true};
  Json object = {{"metadata", {{"namespace", "ns"}, {"name", "b"}}}, {"spec", {{"x", 1}}}};
  EXPECT_EQ(number_at(api.put(builds, object), {"metadata", "generation"}), 1);
  object["status"] = {{"phase", "Running"}};
  EXPECT_EQ(number_at(api.put(builds, object), {"metadata", "generation"}), 1);
  object["spec"]["x"] = 2;
  EXPECT_EQ(number_at(api.put(builds, object), {"metadata", "generation"}), 2);
}

TEST_F(FakeApiServerTest, GivesPodsAPhase) {
  const Json pod = {{"metadata", {{"namespace", "ns"}, {"name", "p"}}}, {"spec", Json::object()}};
  EXPECT_EQ(text_at(api.put(pods(), pod), {"status", "phase"}), "Pending");
}

TEST_F(FakeApiServerTest, SelectsByField) {
  api.put(config_maps(), config_map("ns", "a"));
  api.put(config_maps(), config_map("ns", "b"));
  const auto list = client.list(config_maps(), "", {.field_selector = "metadata.name=a"});
  ASSERT_API_OK(list);
  EXPECT_EQ(list->items.size(), 1U);
}

TEST_F(FakeApiServerTest, AsksForATokenWhenToldTo) {
  api.require_token({"secret"});
  EXPECT_EQ(client.get(config_maps(), {"ns", "a"}).error().status, 401);
  ClientOptions known = options();
  known.token = std::make_shared<FixedToken>("secret");
  EXPECT_EQ(Client(transport, known).get(config_maps(), {"ns", "a"}).error().status, 404);
}

TEST_F(FakeApiServerTest, SaysHowManyPatchesDoNotApply) {
  api.put(config_maps(), config_map("ns", "a"));
  const Json operations = Json::array({{{"op", "test"}, {"path", "/data/value"}, {"value", "other"}}});
  const auto patched = client.patch(config_maps(), {"ns", "a"}, PatchType::kJson, operations);
  ASSERT_FALSE(patched.ok());
  EXPECT_TRUE(patched.error().is_invalid());
}

}  // namespace
}  // namespace imagebuild::kube
