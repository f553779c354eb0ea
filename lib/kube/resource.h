// What the API serves and where: resources, the keys of objects, and careful looks into an object's JSON.
#pragma once

#include <compare>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace imagebuild::kube {

using Json = nlohmann::json;

// One kind of object as the API's paths name it: /apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME.
struct Resource {
  std::string group;  // Empty for the core group ("/api/v1").
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  // The path of one object, of the collection (no name), of all namespaces' (no namespace). Names are percent-encoded.
  std::string path(std::string_view ns, std::string_view name = {}, std::string_view subresource = {}) const;

  auto operator<=>(const Resource&) const = default;
};

// Resources that this room itself needs.
Resource pods();
Resource leases();
Resource events();       // events.k8s.io/v1
Resource core_events();  // v1, where the other is missing.

// Which object of a resource.
struct ObjectKey {
  std::string ns;  // Empty for resources without namespaces.
  std::string name;

  std::string str() const { return ns.empty() ? name : ns + "/" + name; }
  auto operator<=>(const ObjectKey&) const = default;
};

// The value at `path`, or null when anything on the way is missing or not an object. Never inserts, never throws.
const Json& at(const Json& object, std::initializer_list<std::string_view> path);
// The same for a string; empty when it is missing or something else.
std::string text_at(const Json& object, std::initializer_list<std::string_view> path);
// The same for a whole number; `otherwise` when it is missing, something else or does not fit.
long long number_at(const Json& object, std::initializer_list<std::string_view> path, long long otherwise = 0);

ObjectKey key_of(const Json& object);
std::string resource_version_of(const Json& object);
std::string uid_of(const Json& object);

}  // namespace imagebuild::kube

template <>
struct std::hash<imagebuild::kube::ObjectKey> {
  std::size_t operator()(const imagebuild::kube::ObjectKey& key) const noexcept {
    const std::size_t first = std::hash<std::string>{}(key.ns);
    return std::hash<std::string>{}(key.name) ^ (first + 0x9e3779b97f4a7c15ULL + (first << 6) + (first >> 2));
  }
};
