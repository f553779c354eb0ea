// The contract's cases about requests that are refused: how the refusal tells what is wrong.
#pragma once

#include "unit/kube/contract.h"

namespace imagebuild::kube::contract {

inline void names_the_field_that_is_wrong(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), [&] {
    Json object = config_map(ns, "Not_A_Name");
    object["metadata"].erase("labels");
    return object;
  }());
  ASSERT_FALSE(created.ok());
  EXPECT_TRUE(created.error().is_invalid());
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(created.error().reason, "Invalid");
  ASSERT_FALSE(created.error().causes.empty());
  EXPECT_EQ(created.error().causes.front().field, "metadata.name");
  EXPECT_EQ(created.error().causes.front().reason, "FieldValueInvalid");
  EXPECT_FALSE(created.error().causes.front().message.empty());
}

inline void refuses_a_patch_that_does_not_fit(const Client& client, const std::string& ns) {
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "a")));
  const Json operations = Json::array({{{"op", "test"}, {"path", "/data/value"}, {"value", "something else"}}});
  const auto patched = client.patch(config_maps(), {ns, "a"}, PatchType::kJson, operations);
  ASSERT_FALSE(patched.ok());
  EXPECT_TRUE(patched.error().is_invalid()) << patched.error().message;
}

inline void refuses_a_patch_of_an_older_version(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(created);
  const auto with_version = [&](const std::string& value) {
    return Json{{"metadata", {{"resourceVersion", resource_version_of(*created)}}}, {"data", {{"value", value}}}};
  };
  ASSERT_API_OK(client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, with_version("two")));
  const auto stale = client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, with_version("three"));
  ASSERT_FALSE(stale.ok());
  EXPECT_TRUE(stale.error().is_conflict()) << stale.error().message;
}

inline void refuses_an_update_meant_for_another_object(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(created);
  Json other = config_map(ns, "a", "two");
  other["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000";
  const auto updated = client.update(config_maps(), other);
  ASSERT_FALSE(updated.ok());
  EXPECT_TRUE(updated.error().is_conflict()) << updated.error().message;
  const auto missing = client.update(config_maps(), config_map(ns, "none"));
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is_not_found());
}

inline void refuses_a_delete_meant_for_another_version(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(created);
  const auto changed = client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, {{"data", {{"value", "two"}}}});
  ASSERT_API_OK(changed);
  const auto stale = client.remove(config_maps(), {ns, "a"}, {.resource_version = resource_version_of(*created)});
  ASSERT_FALSE(stale.ok());
  EXPECT_TRUE(stale.error().is_conflict()) << stale.error().message;
  EXPECT_API_OK(client.remove(config_maps(), {ns, "a"}, {.resource_version = resource_version_of(*changed)}));
}

inline void refuses_a_continue_token_that_it_did_not_make(const Client& client, const std::string& ns) {
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "a")));
  const auto listed = client.raw(config_maps().path(ns) + "?limit=1&continue=nonsense");
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().status, 400) << listed.error().message;
  EXPECT_EQ(listed.error().code, ErrorCode::kInvalidInput);
}

inline void refuses_a_field_selector_that_it_does_not_know(const Client& client, const std::string& ns) {
  const auto listed = client.list(config_maps(), ns, {.field_selector = "data.value=one"});
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().status, 400) << listed.error().message;
}

inline void refuses_what_belongs_elsewhere(const Client& client, const std::string& ns) {
  const auto no_group = client.list({"nobody.example.com", "v1", "things", "Thing", true}, ns);
  // A fake serves any resource.
  EXPECT_TRUE(no_group.ok() || no_group.error().is_not_found());
  Json lease = config_map(ns, "a");
  lease["kind"] = "Lease";
  const auto wrong_kind = client.create(config_maps(), lease);
  ASSERT_FALSE(wrong_kind.ok());
  EXPECT_EQ(wrong_kind.error().status, 400) << wrong_kind.error().message;
  const auto no_manager = client.apply(config_maps(), config_map(ns, "a"), {});
  ASSERT_FALSE(no_manager.ok());
  EXPECT_EQ(no_manager.error().code, ErrorCode::kInvalidInput) << no_manager.error().message;
}

inline void refuses_to_create_what_has_a_version(const Client& client, const std::string& ns) {
  Json object = config_map(ns, "a");
  object["metadata"]["resourceVersion"] = "1";
  const auto created = client.create(config_maps(), object);
  ASSERT_FALSE(created.ok());
  // 500, of all things: no reason to try again, and create() never does.
  EXPECT_EQ(created.error().status, 500);
  EXPECT_NE(created.error().message.find("resourceVersion should not be set"), std::string::npos)
      << created.error().message;
}

}  // namespace imagebuild::kube::contract
