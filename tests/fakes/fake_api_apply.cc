// Server-side apply: who owns which field, and what becomes of fields that somebody gives up.
#include <algorithm>

#include "fakes/fake_api_store.h"

namespace imagebuild::fakes {
namespace {

using kube::at;

Json without_nulls(const Json& value) {
  if (!value.is_object()) return value;
  Json result = Json::object();
  for (const auto& [name, member] : value.items()) {
    if (!member.is_null()) result[name] = without_nulls(member);
  }
  return result;
}

}  // namespace

void FakeApiStore::leaves(const Json& object, FieldPath& path, std::set<FieldPath>& into) {
  if (!object.is_object() || object.empty()) {
    into.insert(path);
    return;
  }
  for (const auto& [name, value] : object.items()) {
    path.push_back(name);
    leaves(value, path, into);
    path.pop_back();
  }
}

std::set<std::vector<std::string>> FakeApiStore::fields_of(const Json& object, const std::string& subresource) {
  Json owned = object;
  owned.erase("apiVersion");
  owned.erase("kind");
  if (owned.contains("metadata")) {
    for (const char* name : {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
                             "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"}) {
      owned["metadata"].erase(name);
    }
    if (owned["metadata"].empty()) owned.erase("metadata");
  }
  if (subresource == "status") owned = {{"status", at(object, {"status"})}};
  std::set<FieldPath> fields;
  FieldPath path;
  if (!owned.empty()) leaves(owned, path, fields);
  return fields;
}

ApiAnswer FakeApiStore::apply(const ApiTarget& target, Json object, const std::string& manager, bool force) {
  if (manager.empty()) return refusal(422, "Invalid", "fieldManager is required for apply patch");
  object = without_nulls(object);
  Stored* stored = find(target);
  if (stored == nullptr) {
    if (!target.subresource.empty()) return not_found(target);
    object["metadata"]["name"] = target.name;
    ApiTarget collection = target;
    collection.name.clear();
    return create(collection, object, manager);
  }
  if (const std::string version = kube::resource_version_of(object);
      !version.empty() && version != kube::resource_version_of(stored->object)) {
    return conflict(target, kModified);
  }
  const std::set<FieldPath> wanted = fields_of(object, target.subresource);
  const auto value_at = [](const Json& from, const FieldPath& path) {
    const Json* here = &from;
    for (const std::string& name : path) here = &at(*here, {name});
    return *here;
  };
  const auto dotted = [](const FieldPath& path) {
    std::string text;
    for (const std::string& name : path) text += "." + name;
    return text;
  };
  Json causes = Json::array();
  for (const FieldPath& path : wanted) {
    if (value_at(stored->object, path) == value_at(object, path)) continue;
    for (const auto& [other, fields] : stored->owners) {
      if (other == manager || !fields.contains(path)) continue;
      causes.push_back({{"reason", "FieldManagerConflict"},
                        {"message", "conflict with \"" + other + "\""},
                        {"field", dotted(path)}});
    }
  }
  if (!causes.empty() && !force) {
    return refusal(409, "Conflict", "Apply failed with " + std::to_string(causes.size()) + " conflict", causes);
  }
  Json now = stored->object;
  auto owners = stored->owners;
  // What this manager applied before and does not any more goes, unless somebody else wants it too.
  const bool status_only = target.subresource == "status";
  std::set<FieldPath>& mine = owners[manager];
  for (const FieldPath& path : std::set<FieldPath>(mine)) {
    if (wanted.contains(path) || (path.front() == "status") != status_only) continue;
    mine.erase(path);
    const bool shared = std::any_of(owners.begin(), owners.end(), [&](const auto& other) {
      return other.first != manager && other.second.contains(path);
    });
    Json* here = &now;
    for (std::size_t i = 0; i + 1 < path.size() && here->contains(path[i]); ++i) here = &(*here)[path[i]];
    if (!shared && here->is_object()) here->erase(path.back());
  }
  for (const FieldPath& path : wanted) {
    Json* here = &now;
    for (const std::string& name : path) {
      if (!here->is_object()) *here = Json::object();
      here = &(*here)[name];
    }
    const Json value = value_at(object, path);
    const bool changed = *here != value;
    *here = value;
    for (auto& [other, fields] : owners) {
      if (changed && other != manager) fields.erase(path);
    }
    mine.insert(path);
  }
  stored->owners = owners;
  return store(target, *stored, std::move(now), "");
}

}  // namespace imagebuild::fakes
