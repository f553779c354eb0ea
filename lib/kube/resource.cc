#include "kube/resource.h"

#include <limits>

#include "http/url.h"

namespace imagebuild::kube {

std::string Resource::path(std::string_view ns, std::string_view name, std::string_view subresource) const {
  std::string path = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (namespaced && !ns.empty()) path += "/namespaces/" + http::percent_encode(ns);
  path += "/" + plural;
  if (!name.empty()) path += "/" + http::percent_encode(name);
  if (!subresource.empty()) path += "/" + std::string(subresource);
  return path;
}

Resource pods() {
  return {"", "v1", "pods", "Pod", true};
}
Resource leases() {
  return {"coordination.k8s.io", "v1", "leases", "Lease", true};
}
Resource events() {
  return {"events.k8s.io", "v1", "events", "Event", true};
}
Resource core_events() {
  return {"", "v1", "events", "Event", true};
}

const Json& at(const Json& object, std::initializer_list<std::string_view> path) {
  static const Json kNull;
  const Json* here = &object;
  for (const std::string_view name : path) {
    if (!here->is_object()) return kNull;
    const auto found = here->find(name);
    if (found == here->end()) return kNull;
    here = &*found;
  }
  return *here;
}

std::string text_at(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& value = at(object, path);
  return value.is_string() ? value.get_ref<const std::string&>() : std::string();
}

long long number_at(const Json& object, std::initializer_list<std::string_view> path, long long otherwise) {
  const Json& value = at(object, path);
  if (!value.is_number_integer()) return otherwise;
  if (value.is_number_unsigned() && value.get<unsigned long long>() > std::numeric_limits<long long>::max()) {
    return otherwise;
  }
  return value.get<long long>();
}

ObjectKey key_of(const Json& object) {
  return {text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"})};
}

std::string resource_version_of(const Json& object) {
  return text_at(object, {"metadata", "resourceVersion"});
}

std::string uid_of(const Json& object) {
  return text_at(object, {"metadata", "uid"});
}

}  // namespace imagebuild::kube
