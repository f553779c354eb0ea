#include "operator/pods/scheduling.h"

#include <algorithm>

namespace imagebuild::op {

namespace {

using kube::Json;

constexpr const char* kArchLabel = "kubernetes.io/arch";

Json quantities(const std::map<std::string, api::Quantity>& amounts) {
  Json result = Json::object();
  for (const auto& [name, amount] : amounts) result[name] = amount.text;
  return result;
}

Json toleration_json(const api::Toleration& toleration) {
  Json result = Json::object();
  if (!toleration.key.empty()) result["key"] = toleration.key;
  if (!toleration.op.empty()) result["operator"] = toleration.op;
  if (!toleration.value.empty()) result["value"] = toleration.value;
  if (!toleration.effect.empty()) result["effect"] = toleration.effect;
  if (toleration.seconds) result["tolerationSeconds"] = *toleration.seconds;
  return result;
}

// kubelets label their nodes with these; the words are Go's, as in an image's platform.
Json node_selector(const std::map<std::string, std::string>& own, const std::string& platform) {
  const std::size_t os_end = std::min(platform.find('/'), platform.size());
  Json result = {{"kubernetes.io/os", platform.substr(0, os_end)}};
  if (os_end < platform.size()) {
    const std::string rest = platform.substr(os_end + 1);
    result[kArchLabel] = rest.substr(0, rest.find('/'));
  }
  for (const auto& [key, value] : own) result[key] = value;
  return result;
}

// The object at `key`, made when it is missing; null when something else is there.
Json* object_in(Json& parent, const char* key) {
  if (!parent.is_object()) return nullptr;
  Json& child = parent[key];
  if (child.is_null()) child = Json::object();
  return child.is_object() ? &child : nullptr;
}

}  // namespace

Json resources_json(const api::ResourceNeeds& needs) {
  Json result = Json::object();
  if (!needs.requests.empty()) result["requests"] = quantities(needs.requests);
  if (!needs.limits.empty()) result["limits"] = quantities(needs.limits);
  return result;
}

Json pinned_to_node(Json affinity, const std::string& node) {
  if (affinity.is_null()) affinity = Json::object();
  Json* on_nodes = object_in(affinity, "nodeAffinity");
  Json* required =
      on_nodes == nullptr ? nullptr : object_in(*on_nodes, "requiredDuringSchedulingIgnoredDuringExecution");
  if (required == nullptr) return affinity;
  Json& terms = (*required)["nodeSelectorTerms"];
  const Json demand = {{"key", "metadata.name"}, {"operator", "In"}, {"values", Json::array({node})}};
  if (terms.is_null() || (terms.is_array() && terms.empty())) {
    terms = Json::array({{{"matchFields", Json::array({demand})}}});
    return affinity;
  }
  if (!terms.is_array()) return affinity;
  // One of the terms must hold: each gets the demand. An empty one holds on no node, and must not begin to.
  for (Json& term : terms) {
    if (!term.is_object() || term.empty()) continue;
    Json& fields = term["matchFields"];
    if (fields.is_null()) fields = Json::array();
    if (fields.is_array()) fields.push_back(demand);
  }
  return affinity;
}

Json preferring_architecture(Json affinity, const std::string& architecture) {
  constexpr int kStrongest = 100;  // The API takes no larger weight.
  if (affinity.is_null()) affinity = Json::object();
  Json* on_nodes = object_in(affinity, "nodeAffinity");
  if (on_nodes == nullptr) return affinity;
  Json& wishes = (*on_nodes)["preferredDuringSchedulingIgnoredDuringExecution"];
  if (wishes.is_null()) wishes = Json::array();
  if (!wishes.is_array()) return affinity;
  const Json demand = {{"key", kArchLabel}, {"operator", "In"}, {"values", Json::array({architecture})}};
  wishes.push_back({{"weight", kStrongest}, {"preference", {{"matchExpressions", Json::array({demand})}}}});
  return affinity;
}

void schedule_pod(Json& pod_spec, const api::PodSettings& settings, const NodeChoice& choice) {
  pod_spec["nodeSelector"] = node_selector(settings.node_selector, choice.platform);
  if (!settings.tolerations.empty()) {
    Json& tolerations = pod_spec["tolerations"] = Json::array();
    for (const api::Toleration& one : settings.tolerations) tolerations.push_back(toleration_json(one));
  }
  Json affinity;
  if (!settings.affinity.text.empty()) affinity = Json::parse(settings.affinity.text, nullptr, false);
  if (affinity.is_discarded()) affinity = nullptr;  // Cannot be: it was read from JSON.
  if (!choice.node.empty()) affinity = pinned_to_node(std::move(affinity), choice.node);
  if (!choice.preferred_architecture.empty()) {
    affinity = preferring_architecture(std::move(affinity), choice.preferred_architecture);
  }
  if (!affinity.is_null()) pod_spec["affinity"] = std::move(affinity);
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) pod_spec[key] = value;
  };
  set("runtimeClassName", settings.runtime_class_name);
  set("priorityClassName", settings.priority_class_name);
  set("serviceAccountName", settings.service_account_name);
}

}  // namespace imagebuild::op
