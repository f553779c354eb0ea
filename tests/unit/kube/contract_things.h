// The contract's cases about a custom resource with a status of its own, as ImageBuild is one.
#pragma once

#include <chrono>
#include <thread>

#include "unit/kube/contract.h"

namespace imagebuild::kube::contract {

// Asks again until `reached` is true; false after a time that only a broken server takes.
template <class Reached>
bool eventually(const Reached& reached) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
  while (!reached()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

inline Resource definitions() {
  return {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false};
}

// A custom resource that exists for one case: its group is named after the case's namespace.
class Things {
 public:
  Things(const Client& client, const std::string& ns) : client_(client), ns_(ns), group_(ns + ".example.com") {
    const auto created = client.create(definitions(), definition());
    EXPECT_API_OK(created);
    // Its path answers before everything about it is settled; the condition tells, where there is one.
    served_ = eventually([&] { return client.list(resource(), ns).ok() && established(); });
    EXPECT_TRUE(served_) << "the custom resource is not served";
  }
  Things(const Things&) = delete;
  Things& operator=(const Things&) = delete;
  ~Things() { (void)client_.remove(definitions(), {"", "things." + group_}); }

  Resource resource() const { return {group_, "v1", "things", "Thing", true}; }
  Json thing(const std::string& name, Json spec) const {
    return {{"apiVersion", group_ + "/v1"},
            {"kind", "Thing"},
            {"metadata", {{"namespace", ns_}, {"name", name}, {"labels", {{"app", name}}}}},
            {"spec", std::move(spec)}};
  }

 private:
  bool established() const {
    const auto got = client_.get(definitions(), {"", "things." + group_});
    if (!got.ok()) return false;
    const Json& conditions = at(*got, {"status", "conditions"});
    if (!conditions.is_array()) return true;  // A fake, where any resource is served.
    return std::any_of(conditions.begin(), conditions.end(), [](const Json& condition) {
      return text_at(condition, {"type"}) == "Established" && text_at(condition, {"status"}) == "True";
    });
  }
  Json definition() const {
    const Json open = {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
    const Json schema = {{"type", "object"}, {"properties", {{"spec", open}, {"status", open}}}};
    return {{"apiVersion", "apiextensions.k8s.io/v1"},
            {"kind", "CustomResourceDefinition"},
            {"metadata", {{"name", "things." + group_}}},
            {"spec",
             {{"group", group_},
              {"scope", "Namespaced"},
              {"names", {{"plural", "things"}, {"kind", "Thing"}}},
              {"versions", Json::array({{{"name", "v1"},
                                         {"served", true},
                                         {"storage", true},
                                         {"subresources", {{"status", Json::object()}}},
                                         {"schema", {{"openAPIV3Schema", schema}}}}})}}}};
  }

  const Client& client_;
  const std::string ns_, group_;
  bool served_ = false;
};

inline void keeps_spec_and_status_apart(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  Json object = things.thing("a", {{"size", 1}});
  object["status"] = {{"phase", "Invented"}};
  const auto created = client.create(things.resource(), object);
  ASSERT_API_OK(created);
  EXPECT_TRUE(at(*created, {"status"}).is_null()) << "who creates an object has no say about its status";
  EXPECT_EQ(number_at(*created, {"metadata", "generation"}), 1);

  Json told = *created;
  told["status"] = {{"phase", "Running"}};
  told["spec"]["size"] = 99;
  const auto status_written = client.update_status(things.resource(), told);
  ASSERT_API_OK(status_written);
  EXPECT_EQ(number_at(*status_written, {"spec", "size"}), 1) << "a status write leaves the spec alone";
  EXPECT_EQ(text_at(*status_written, {"status", "phase"}), "Running");
  EXPECT_EQ(number_at(*status_written, {"metadata", "generation"}), 1);

  Json wanted = *status_written;
  wanted["spec"]["size"] = 2;
  wanted["status"] = {{"phase", "Invented"}};
  const auto spec_written = client.update(things.resource(), wanted);
  ASSERT_API_OK(spec_written);
  EXPECT_EQ(number_at(*spec_written, {"spec", "size"}), 2);
  EXPECT_EQ(text_at(*spec_written, {"status", "phase"}), "Running") << "a spec write leaves the status alone";
  EXPECT_EQ(number_at(*spec_written, {"metadata", "generation"}), 2);

  told["status"]["phase"] = "Late";
  const auto stale = client.update_status(things.resource(), told);
  ASSERT_FALSE(stale.ok());
  EXPECT_TRUE(stale.error().is_conflict());
}

inline void counts_generations_of_the_spec_only(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  ASSERT_API_OK(client.create(things.resource(), things.thing("a", {{"size", 1}})));
  const auto generation_after = [&](const Json& patch, const std::string& subresource = {}) {
    const auto patched = client.patch(things.resource(), {ns, "a"}, PatchType::kMerge, patch, subresource);
    EXPECT_API_OK(patched);
    return patched.ok() ? number_at(*patched, {"metadata", "generation"}) : 0;
  };
  EXPECT_EQ(generation_after({{"metadata", {{"labels", {{"more", "1"}}}}}}), 1);
  EXPECT_EQ(generation_after({{"metadata", {{"annotations", {{"note", "n"}}}}}}), 1);
  EXPECT_EQ(generation_after({{"status", {{"phase", "Running"}}}}, "status"), 1);
  EXPECT_EQ(generation_after({{"spec", {{"size", 1}}}}), 1) << "nothing changed";
  EXPECT_EQ(generation_after({{"spec", {{"size", 2}}}}), 2);
  EXPECT_EQ(generation_after({{"spec", {{"size", 3}}}, {"metadata", {{"generation", 77}}}}), 3);
}

inline void changes_nothing_for_a_write_that_changes_nothing(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  const auto created = client.create(things.resource(), things.thing("a", {{"size", 1}}));
  ASSERT_API_OK(created);
  const auto updated = client.update(things.resource(), *created);
  ASSERT_API_OK(updated);
  EXPECT_EQ(resource_version_of(*updated), resource_version_of(*created));
  Json told = *created;
  told["status"] = {{"phase", "Running"}};
  const auto first = client.update_status(things.resource(), told);
  ASSERT_API_OK(first);
  const auto second = client.update_status(things.resource(), *first);
  ASSERT_API_OK(second);
  EXPECT_EQ(resource_version_of(*second), resource_version_of(*first));
}

inline void applies_a_custom_resource_twice_without_a_difference(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  const Json object = things.thing("a", {{"size", 1}, {"names", {"x", "y"}}, {"deep", {{"a", {{"b", "c"}}}}}});
  const auto first = client.apply(things.resource(), object, {.field_manager = "someone"});
  ASSERT_API_OK(first);
  const auto second = client.apply(things.resource(), object, {.field_manager = "someone"});
  ASSERT_API_OK(second);
  EXPECT_EQ(resource_version_of(*second), resource_version_of(*first));

  Json status = things.thing("a", nullptr);
  status.erase("spec");
  status["metadata"].erase("labels");
  status["status"] = {{"phase", "Running"}};
  const ApplyOptions as_controller{.field_manager = "controller", .subresource = "status"};
  const auto told = client.apply(things.resource(), status, as_controller);
  ASSERT_API_OK(told);
  EXPECT_EQ(text_at(*told, {"status", "phase"}), "Running");
  EXPECT_EQ(at(*told, {"spec"}), at(*first, {"spec"}));
  const auto told_again = client.apply(things.resource(), status, as_controller);
  ASSERT_API_OK(told_again);
  EXPECT_EQ(resource_version_of(*told_again), resource_version_of(*told));

  // A person who applies the spec again later takes nothing away from the controller.
  const auto third = client.apply(things.resource(), object, {.field_manager = "someone"});
  ASSERT_API_OK(third);
  EXPECT_EQ(resource_version_of(*third), resource_version_of(*told));
}

inline void refuses_a_strategic_merge_of_a_custom_resource(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  ASSERT_API_OK(client.create(things.resource(), things.thing("a", {{"size", 1}})));
  const auto patched =
      client.patch(things.resource(), {ns, "a"}, PatchType::kStrategicMerge, {{"spec", {{"size", 2}}}});
  ASSERT_FALSE(patched.ok());
  EXPECT_EQ(patched.error().status, 415);
  EXPECT_EQ(patched.error().code, ErrorCode::kUnsupported);
}

// The first versions of a resource that was made a moment ago are older than its history.
inline void says_that_a_version_is_gone(const Client& client, const std::string& ns) {
  const Things things(client, ns);
  ASSERT_API_OK(client.create(things.resource(), things.thing("a", {{"size", 1}})));
  auto watch = Watch::open(client, things.resource(),
                           {.ns = ns, .resource_version = "1", .timeout = std::chrono::seconds(5)}, {});
  if (!watch.ok()) {
    EXPECT_TRUE(watch.error().is_gone()) << watch.error().message;
    return;
  }
  const auto event = watch->next();
  ASSERT_FALSE(event.ok());
  EXPECT_TRUE(event.error().is_gone()) << event.error().message;
  EXPECT_EQ(event.error().code, ErrorCode::kUnavailable);
}

}  // namespace imagebuild::kube::contract
