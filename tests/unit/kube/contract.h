// What a Kubernetes API server does, as a list of named cases over our client: the same list runs against the fake API
// server here and against a real one in tests/integration/kube. Each case needs a namespace of its own that exists and
// is empty, and all rights in it. The list, api_cases(), is in contract_cases.h; here is what is the same for all
// kinds.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/timestamp.h"
#include "kube/client.h"
#include "kube/watch.h"

namespace imagebuild::kube {

struct ApiCase {
  std::string name;
  std::function<void(const Client&, const std::string& ns)> check;
};

namespace contract {

inline Resource config_maps() {
  return {"", "v1", "configmaps", "ConfigMap", true};
}

inline Json config_map(const std::string& ns, const std::string& name, const std::string& value = "one") {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"namespace", ns}, {"name", name}, {"labels", {{"app", name}}}}},
          {"data", {{"value", value}}}};
}

// Ends the test with the error's text instead of the process.
#define EXPECT_API_OK(result) EXPECT_TRUE((result).ok()) << (result).error().message
#define ASSERT_API_OK(result) ASSERT_TRUE((result).ok()) << (result).error().message

inline void creates_and_gets(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(created);
  EXPECT_FALSE(uid_of(*created).empty());
  EXPECT_FALSE(resource_version_of(*created).empty());
  const auto got = client.get(config_maps(), {ns, "a"});
  ASSERT_API_OK(got);
  EXPECT_EQ(text_at(*got, {"data", "value"}), "one");
  EXPECT_EQ(uid_of(*got), uid_of(*created));
}

inline void says_what_is_missing(const Client& client, const std::string& ns) {
  const auto got = client.get(config_maps(), {ns, "nothing"});
  ASSERT_FALSE(got.ok());
  EXPECT_TRUE(got.error().is_not_found());
  EXPECT_EQ(got.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(got.error().reason, "NotFound");
  const auto removed = client.remove(config_maps(), {ns, "nothing"});
  ASSERT_FALSE(removed.ok());
  EXPECT_TRUE(removed.error().is_not_found());
}

inline void tells_a_taken_name_from_a_conflict(const Client& client, const std::string& ns) {
  const auto first = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(first);
  const auto again = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_FALSE(again.ok());
  EXPECT_TRUE(again.error().is_already_exists());
  EXPECT_FALSE(again.error().is_conflict());

  Json changed = *first;
  changed["data"]["value"] = "two";
  ASSERT_API_OK(client.update(config_maps(), changed));
  changed["data"]["value"] = "three";
  const auto stale = client.update(config_maps(), changed);  // Still the first resourceVersion.
  ASSERT_FALSE(stale.ok());
  EXPECT_TRUE(stale.error().is_conflict());
  EXPECT_FALSE(stale.error().is_already_exists());
}

inline void makes_names_from_a_prefix(const Client& client, const std::string& ns) {
  Json object = config_map(ns, "");
  object["metadata"].erase("name");
  object["metadata"].erase("labels");
  object["metadata"]["generateName"] = "made-";
  const auto one = client.create(config_maps(), object);
  const auto two = client.create(config_maps(), object);
  ASSERT_API_OK(one);
  ASSERT_API_OK(two);
  EXPECT_TRUE(key_of(*one).name.starts_with("made-"));
  EXPECT_NE(key_of(*one).name, key_of(*two).name);
}

inline void refuses_an_update_without_a_version_where_versions_matter(const Client& client, const std::string& ns) {
  const Json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"namespace", ns}, {"name", "l"}}},
                      {"spec", {{"holderIdentity", "me"}}}};
  ASSERT_API_OK(client.create(leases(), lease));
  const auto updated = client.update(leases(), lease);
  ASSERT_FALSE(updated.ok());
  EXPECT_TRUE(updated.error().is_invalid()) << updated.error().message;
}

inline void lists_in_pages(const Client& client, const std::string& ns) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_API_OK(client.create(config_maps(), config_map(ns, "m" + std::to_string(i))));
  }
  std::vector<std::string> names;
  int starts = 0;
  const auto version = client.list_pages(
      config_maps(), ns, {.field_selector = "metadata.name!=kube-root-ca.crt", .page_size = 3}, [&] { ++starts; },
      [&](Json object) {
        EXPECT_EQ(text_at(object, {"kind"}), "ConfigMap");
        names.push_back(key_of(object).name);
      });
  ASSERT_API_OK(version);
  EXPECT_FALSE(version->empty());
  EXPECT_EQ(starts, 1);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"m0", "m1", "m2", "m3", "m4", "m5", "m6"}));
}

inline void selects_by_label(const Client& client, const std::string& ns) {
  for (const char* name : {"a", "b", "c"}) ASSERT_API_OK(client.create(config_maps(), config_map(ns, name)));
  const auto count = [&](const std::string& selector) {
    const auto list = client.list(config_maps(), ns, {.label_selector = selector});
    return list.ok() ? static_cast<int>(list->items.size()) : -1;
  };
  EXPECT_EQ(count("app=a"), 1);
  EXPECT_EQ(count("app in (a,b)"), 2);
  EXPECT_EQ(count("app,app!=a"), 2);
  EXPECT_EQ(count("app notin (a,b),app"), 1);
  EXPECT_EQ(count("app=none"), 0);
}

inline void patches(const Client& client, const std::string& ns) {
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "a")));
  const auto merged =
      client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, {{"data", {{"value", nullptr}, {"more", "m"}}}});
  ASSERT_API_OK(merged);
  EXPECT_EQ(at(*merged, {"data"}), (Json{{"more", "m"}}));
  const Json operations = Json::array({{{"op", "replace"}, {"path", "/data/more"}, {"value", "n"}}});
  const auto patched = client.patch(config_maps(), {ns, "a"}, PatchType::kJson, operations);
  ASSERT_API_OK(patched);
  EXPECT_EQ(text_at(*patched, {"data", "more"}), "n");
  const auto missing = client.patch(config_maps(), {ns, "none"}, PatchType::kMerge, Json::object());
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is_not_found());
}

inline void applies_and_owns_fields(const Client& client, const std::string& ns) {
  Json mine = config_map(ns, "a");
  const auto created = client.apply(config_maps(), mine, {.field_manager = "one"});
  ASSERT_API_OK(created);
  const auto same = client.apply(config_maps(), mine, {.field_manager = "one"});
  ASSERT_API_OK(same);
  EXPECT_EQ(resource_version_of(*same), resource_version_of(*created)) << "the same content must change nothing";

  Json theirs = config_map(ns, "a", "two");
  const auto conflict = client.apply(config_maps(), theirs, {.field_manager = "two"});
  ASSERT_FALSE(conflict.ok());
  EXPECT_TRUE(conflict.error().is_conflict());
  ASSERT_FALSE(conflict.error().causes.empty());
  EXPECT_EQ(conflict.error().causes.front().reason, "FieldManagerConflict");
  const auto forced = client.apply(config_maps(), theirs, {.field_manager = "two", .force = true});
  ASSERT_API_OK(forced);
  EXPECT_EQ(text_at(*forced, {"data", "value"}), "two");
}

inline void removes_fields_that_are_not_applied_any_more(const Client& client, const std::string& ns) {
  Json object = config_map(ns, "a");
  object["data"]["extra"] = "x";
  ASSERT_API_OK(client.apply(config_maps(), object, {.field_manager = "one"}));
  Json other = config_map(ns, "a");
  other["data"] = {{"other", "o"}};
  other["metadata"].erase("labels");
  ASSERT_API_OK(client.apply(config_maps(), other, {.field_manager = "two"}));
  object["data"].erase("extra");
  const auto applied = client.apply(config_maps(), object, {.field_manager = "one"});
  ASSERT_API_OK(applied);
  EXPECT_EQ(at(*applied, {"data"}), (Json{{"value", "one"}, {"other", "o"}}));
}

inline void deletes_only_what_was_meant(const Client& client, const std::string& ns) {
  const auto created = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(created);
  const auto wrong = client.remove(config_maps(), {ns, "a"}, {.uid = "00000000-0000-0000-0000-000000000000"});
  ASSERT_FALSE(wrong.ok());
  EXPECT_TRUE(wrong.error().is_conflict());
  EXPECT_API_OK(
      client.remove(config_maps(), {ns, "a"}, {.uid = uid_of(*created), .propagation = Propagation::kBackground}));
  EXPECT_FALSE(client.get(config_maps(), {ns, "a"}).ok());
}

inline void keeps_what_has_a_finalizer(const Client& client, const std::string& ns) {
  Json object = config_map(ns, "a");
  object["metadata"]["finalizers"] = Json::array({"imagebuild.dev/test"});
  ASSERT_API_OK(client.create(config_maps(), object));
  ASSERT_API_OK(client.remove(config_maps(), {ns, "a"}));
  const auto dying = client.get(config_maps(), {ns, "a"});
  ASSERT_API_OK(dying);
  EXPECT_FALSE(text_at(*dying, {"metadata", "deletionTimestamp"}).empty());
  const auto freed =
      client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, {{"metadata", {{"finalizers", nullptr}}}});
  ASSERT_API_OK(freed);
  EXPECT_FALSE(client.get(config_maps(), {ns, "a"}).ok());
}

// From the list on, the objects whose label app is "a".
inline ApiResult<Watch> watch_app_a(const Client& client, const std::string& ns, const List& list,
                                    std::chrono::seconds timeout) {
  return Watch::open(
      client, config_maps(),
      {.ns = ns, .label_selector = "app=a", .resource_version = list.resource_version, .timeout = timeout}, {});
}

inline void watches_from_a_list_on(const Client& client, const std::string& ns) {
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "before")));
  const auto list = client.list(config_maps(), ns);
  ASSERT_API_OK(list);
  auto watch = watch_app_a(client, ns, *list, std::chrono::seconds(20));
  ASSERT_API_OK(watch);
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "other")));  // Not selected.
  ASSERT_API_OK(client.create(config_maps(), config_map(ns, "a")));
  ASSERT_API_OK(client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, {{"data", {{"value", "two"}}}}));
  // A change that ends the selection looks like a deletion.
  ASSERT_API_OK(
      client.patch(config_maps(), {ns, "a"}, PatchType::kMerge, {{"metadata", {{"labels", {{"app", "elsewhere"}}}}}}));
  ASSERT_API_OK(client.remove(config_maps(), {ns, "a"}));
  for (const auto expected : {WatchEvent::Type::kAdded, WatchEvent::Type::kModified, WatchEvent::Type::kDeleted}) {
    auto event = watch->next();
    while (event.ok() && *event && (*event)->type == WatchEvent::Type::kBookmark) event = watch->next();
    ASSERT_API_OK(event);
    ASSERT_TRUE(event->has_value());
    EXPECT_EQ((*event)->type, expected);
    EXPECT_EQ(key_of((*event)->object).name, "a");
    EXPECT_EQ(watch->resource_version(), resource_version_of((*event)->object));
  }
}

inline void ends_a_watch_at_its_timeout(const Client& client, const std::string& ns) {
  const auto list = client.list(config_maps(), ns);
  ASSERT_API_OK(list);
  auto watch =
      Watch::open(client, config_maps(),
                  {.ns = ns, .resource_version = list->resource_version, .timeout = std::chrono::seconds(1)}, {});
  ASSERT_API_OK(watch);
  while (true) {
    const auto event = watch->next();
    ASSERT_API_OK(event);
    if (!event->has_value()) break;
    EXPECT_EQ((**event).type, WatchEvent::Type::kBookmark);
  }
}

inline void reports_a_version_of_long_ago(const Client& client, const std::string& ns) {
  auto watch =
      Watch::open(client, config_maps(), {.ns = ns, .resource_version = "1", .timeout = std::chrono::seconds(5)}, {});
  if (!watch.ok()) {
    EXPECT_TRUE(watch.error().is_gone()) << watch.error().message;
    return;
  }
  const auto event = watch->next();
  // A young server may still have its whole history: then an event or the end comes.
  EXPECT_TRUE(event.ok() || event.error().is_gone()) << (event.ok() ? "" : event.error().message);
}

inline void stores_micro_times_as_written(const Client& client, const std::string& ns) {
  const std::string when = micro_time_text(WallTime(std::chrono::microseconds(1'700'000'000'123'456)));
  const Json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"namespace", ns}, {"name", "l"}}},
                      {"spec", {{"holderIdentity", "me"}, {"renewTime", when}}}};
  const auto created = client.create(leases(), lease);
  ASSERT_API_OK(created);
  EXPECT_EQ(text_at(*created, {"spec", "renewTime"}), when);
}

}  // namespace contract

}  // namespace imagebuild::kube
