#include "fakes/fake_api_store.h"

#include <algorithm>

namespace imagebuild::fakes {
namespace {

using kube::at;
using kube::text_at;

// Whether an object of `kind` can be one of `plural`: "Lease" of "leases", "NetworkPolicy" of "networkpolicies".
bool belongs_to(const std::string& kind, const std::string& plural) {
  std::string stem;
  for (const char c : kind) stem += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (!stem.empty()) stem.pop_back();
  return plural.starts_with(stem);
}

// RFC 1123 subdomain, as nearly all names must be.
bool is_name(const std::string& name) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 253 && is_word(name.front()) && is_word(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_word(c) || c == '-' || c == '.'; });
}

// Groups of Kubernetes itself have no dot, or end so.
bool is_custom(const std::string& group) {
  return group.find('.') != group.npos && !group.ends_with(".k8s.io");
}

// Kinds whose status is no resource of its own.
bool has_status(const std::string& plural) {
  static const std::set<std::string> kWithout = {"leases", "configmaps", "secrets", "events", "serviceaccounts"};
  return !kWithout.contains(plural);
}

bool may_replace_blindly(const std::string& plural) {
  static const std::set<std::string> kThese = {"pods", "configmaps", "secrets", "services", "serviceaccounts"};
  return kThese.contains(plural);
}

Json without_bookkeeping(Json object) {
  object["metadata"].erase("resourceVersion");
  object["metadata"].erase("managedFields");
  object["metadata"].erase("generation");
  return object;
}

Json content_of(Json object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

}  // namespace

std::string FakeApiStore::next_time() {
  const long long n = counter_++;
  char text[32];
  std::snprintf(text, sizeof text, "2000-01-01T%02d:%02d:%02dZ", static_cast<int>(n / 3600 % 24),
                static_cast<int>(n / 60 % 60), static_cast<int>(n % 60));
  return text;
}

FakeApiStore::Stored* FakeApiStore::find(const ApiTarget& target) {
  auto& collection = collections_[target.collection()];
  const auto found = collection.find({target.ns, target.name});
  return found == collection.end() ? nullptr : &found->second;
}

ApiAnswer FakeApiStore::get(const ApiTarget& target) const {
  const auto collection = collections_.find(target.collection());
  if (collection == collections_.end()) return not_found(target);
  const auto found = collection->second.find({target.ns, target.name});
  if (found == collection->second.end()) return not_found(target);
  return {200, found->second.object};
}

std::vector<Json> FakeApiStore::objects(const std::string& collection, const std::string& ns) const {
  std::vector<Json> result;
  const auto found = collections_.find(collection);
  if (found == collections_.end()) return result;
  for (const auto& [key, stored] : found->second) {
    if (ns.empty() || key.first == ns) result.push_back(stored.object);
  }
  return result;
}

// A continue token is "VERSION:NAMESPACE/NAME", the last object that was handed out.
ApiAnswer FakeApiStore::list(const ApiTarget& target, const ApiSelector& selector, std::size_t limit,
                             const std::string& next) const {
  if (const std::string field = selector.unknown_field(target.plural); !field.empty()) {
    return refusal(400, "BadRequest", "field label not supported: " + field);
  }
  Json body = {{"kind", "List"},
               {"apiVersion", target.group.empty() ? target.version : target.group + "/" + target.version},
               {"metadata", {{"resourceVersion", std::to_string(version_)}}},
               {"items", Json::array()}};
  std::string after;
  if (!next.empty()) {
    const auto colon = next.find(':');
    if (colon == next.npos) return refusal(400, "BadRequest", "continue key is not valid");
    const long long since = std::atoll(next.c_str());
    if (since < compacted_) {
      return refusal(410, "Expired", "The provided continue parameter is too old to display a consistent list result.");
    }
    body["metadata"]["resourceVersion"] = std::to_string(since);
    after = next.substr(colon + 1);
  }
  for (Json& object : objects(target.collection(), target.ns)) {
    const std::string place = kube::key_of(object).ns + "/" + kube::key_of(object).name;
    if ((!after.empty() && place <= after) || !selector.matches(object)) continue;
    if (limit > 0 && body["items"].size() == limit) {
      const Json& last = body["items"].back();
      body["metadata"]["continue"] =
          text_at(body, {"metadata", "resourceVersion"}) + ":" + kube::key_of(last).ns + "/" + kube::key_of(last).name;
      break;
    }
    object.erase("kind");  // As the real one does.
    object.erase("apiVersion");
    body["items"].push_back(std::move(object));
  }
  return {200, std::move(body)};
}

std::optional<ApiAnswer> FakeApiStore::check(const ApiTarget& target, const Json& object) const {
  if (!object.is_object() || text_at(object, {"kind"}).empty() || text_at(object, {"apiVersion"}).empty()) {
    return refusal(400, "BadRequest", "Object 'Kind' is missing in the body");
  }
  if (!belongs_to(text_at(object, {"kind"}), target.plural)) {
    return refusal(400, "BadRequest", "the object provided is unrecognized: its kind is not that of " + target.plural);
  }
  if (const std::string ns = kube::key_of(object).ns; !ns.empty() && ns != target.ns) {
    return refusal(400, "BadRequest", "the namespace of the provided object does not match the namespace sent");
  }
  if (!validator) return {};
  if (auto causes = validator(target, object)) {
    return refusal(422, "Invalid", text_at(object, {"kind"}) + " \"" + kube::key_of(object).name + "\" is invalid",
                   *causes);
  }
  return {};
}

void FakeApiStore::commit(const std::string& collection, const Json& before, Json& now) {
  ++version_;
  if (!now.is_null()) now["metadata"]["resourceVersion"] = std::to_string(version_);
  history_.push_back({version_, collection, before, now});
}

ApiAnswer FakeApiStore::create(const ApiTarget& target, Json object, const std::string& manager) {
  if (auto wrong = check(target, object)) return *wrong;
  Json& metadata = object["metadata"];
  std::string name = kube::key_of(object).name;
  if (name.empty()) {
    const std::string prefix = text_at(metadata, {"generateName"});
    if (prefix.empty()) return refusal(422, "Invalid", "name or generateName is required");
    char suffix[16];
    std::snprintf(suffix, sizeof suffix, "%05llx", static_cast<unsigned long long>(counter_++) & 0xFFFFFU);
    name = prefix + suffix;
  }
  if (!is_name(name)) {
    const Json cause = {{"reason", "FieldValueInvalid"},
                        {"message", "Invalid value: \"" + name +
                                        "\": a DNS-1123 subdomain must consist of lower case "
                                        "alphanumeric characters, '-' or '.'"},
                        {"field", "metadata.name"}};
    return refusal(422, "Invalid", text_at(object, {"kind"}) + " \"" + name + "\" is invalid: metadata.name",
                   Json::array({cause}));
  }
  ApiTarget whole = target;
  whole.name = name;
  if (find(whole) != nullptr) {
    return refusal(409, "AlreadyExists", target.plural + " \"" + name + "\" already exists");
  }
  if (!text_at(metadata, {"resourceVersion"}).empty()) {
    return refusal(500, "", "resourceVersion should not be set on objects to be created");  // As the real one does.
  }
  metadata["name"] = name;
  if (!target.ns.empty()) metadata["namespace"] = target.ns;
  metadata["uid"] = "uid-" + std::to_string(++counter_);
  metadata["creationTimestamp"] = next_time();
  if (has_status(target.plural)) {
    metadata["generation"] = 1;
    object.erase("status");
  }
  if (target.plural == "pods") object["status"] = {{"phase", "Pending"}};
  commit(target.collection(), nullptr, object);
  Stored stored{object, {}};
  if (!manager.empty()) stored.owners[manager] = fields_of(object, "");
  collections_[target.collection()][{target.ns, name}] = std::move(stored);
  return {201, std::move(object)};
}

// Takes `now` in place of what is stored: keeps what nobody may change, counts generations, ends finished deletions.
ApiAnswer FakeApiStore::store(const ApiTarget& target, Stored& stored, Json now, const std::string& manager) {
  const Json before = stored.object;
  const bool separate = has_status(target.plural);
  if (target.subresource == "status") {
    Json status = at(now, {"status"});
    now = before;
    now["status"] = std::move(status);
    if (now["status"].is_null()) now.erase("status");
  } else if (separate) {
    now.erase("status");
    if (before.contains("status")) now["status"] = before["status"];
  }
  if (auto wrong = check(target, now)) return *wrong;
  for (const char* kept : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation",
                           "deletionGracePeriodSeconds", "resourceVersion", "managedFields"}) {
    const Json& value = at(before, {"metadata", kept});
    now["metadata"].erase(kept);
    if (!value.is_null()) now["metadata"][kept] = value;
  }
  if (without_bookkeeping(now) == without_bookkeeping(before)) return {200, before};
  if (separate && content_of(now) != content_of(before)) {
    now["metadata"]["generation"] = kube::number_at(before, {"metadata", "generation"}) + 1;
  }
  if (!manager.empty()) {
    // Who writes a field takes it from those who applied it.
    const auto old_fields = fields_of(before, ""), new_fields = fields_of(now, "");
    const auto value_at = [](const Json& object, const FieldPath& path) {
      const Json* here = &object;
      for (const std::string& name : path) here = &at(*here, {name});
      return *here;
    };
    for (const FieldPath& path : new_fields) {
      if (old_fields.contains(path) && value_at(before, path) == value_at(now, path)) continue;
      for (auto& [other, fields] : stored.owners) fields.erase(path);
      stored.owners[manager].insert(path);
    }
  }
  commit(target.collection(), before, now);
  stored.object = now;
  const Json& finalizers = at(now, {"metadata", "finalizers"});
  if (!at(now, {"metadata", "deletionTimestamp"}).is_null() && (finalizers.is_null() || finalizers.empty())) {
    erase(target.collection(), {target.ns, target.name});
  }
  return {200, std::move(now)};
}

ApiAnswer FakeApiStore::update(const ApiTarget& target, Json object, const std::string& manager) {
  Stored* stored = find(target);
  if (stored == nullptr) return not_found(target);
  const std::string version = kube::resource_version_of(object);
  if (version.empty() && !may_replace_blindly(target.plural)) {
    return refusal(422, "Invalid", "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update");
  }
  if (!version.empty() && version != kube::resource_version_of(stored->object)) return conflict(target, kModified);
  if (const std::string uid = kube::uid_of(object); !uid.empty() && uid != kube::uid_of(stored->object)) {
    return conflict(target, "Precondition failed: UID in precondition: " + uid);
  }
  return store(target, *stored, std::move(object), manager);
}

ApiAnswer FakeApiStore::patch(const ApiTarget& target, const std::string& content_type, const Json& patch,
                              const std::string& manager, bool force) {
  if (content_type.starts_with("application/apply-patch")) return apply(target, patch, manager, force);
  Stored* stored = find(target);
  if (stored == nullptr) return not_found(target);
  Json now = stored->object;
  if (content_type == "application/json-patch+json") {
    try {
      now = now.patch(patch);
    } catch (const Json::exception& error) {
      return refusal(422, "Invalid", std::string("the patch does not apply: ") + error.what());
    }
  } else if (content_type == "application/merge-patch+json" ||
             (content_type == "application/strategic-merge-patch+json" && !is_custom(target.group))) {
    now.merge_patch(patch);
  } else {
    return refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format");
  }
  if (kube::resource_version_of(now) != kube::resource_version_of(stored->object)) return conflict(target, kModified);
  return store(target, *stored, std::move(now), manager);
}

ApiAnswer FakeApiStore::remove(const ApiTarget& target, const Json& options) {
  Stored* stored = find(target);
  if (stored == nullptr) return not_found(target);
  const std::string uid = text_at(options, {"preconditions", "uid"});
  const std::string version = text_at(options, {"preconditions", "resourceVersion"});
  if ((!uid.empty() && uid != kube::uid_of(stored->object)) ||
      (!version.empty() && version != kube::resource_version_of(stored->object))) {
    return conflict(target, "Precondition failed");
  }
  if (text_at(options, {"propagationPolicy"}) == "Orphan") {
    collect_dependents(kube::uid_of(stored->object), true);
  }
  Json now = stored->object;
  const Json& finalizers = at(now, {"metadata", "finalizers"});
  if (finalizers.is_array() && !finalizers.empty()) {
    if (at(now, {"metadata", "deletionTimestamp"}).is_null()) {
      const Json before = now;
      now["metadata"]["deletionTimestamp"] = next_time();
      commit(target.collection(), before, now);
      stored->object = now;
    }
    return {200, now};
  }
  erase(target.collection(), {target.ns, target.name});
  return {200, {{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Success"}}};
}

void FakeApiStore::erase(const std::string& collection, const std::pair<std::string, std::string>& key) {
  auto& stored = collections_[collection];
  const auto found = stored.find(key);
  if (found == stored.end()) return;
  Json last = found->second.object;
  const std::string uid = kube::uid_of(last);
  Json gone;
  stored.erase(found);
  commit(collection, last, gone);
  collect_dependents(uid, false);
}

// Removes what only `uid` owned, or cuts the tie.
void FakeApiStore::collect_dependents(const std::string& uid, bool orphan) {
  std::vector<std::pair<ApiTarget, Json>> dependents;
  for (const auto& [name, collection] : collections_) {
    for (const auto& [key, stored] : collection) {
      const Json& owners = at(stored.object, {"metadata", "ownerReferences"});
      if (!owners.is_array()) continue;
      const bool owned =
          std::any_of(owners.begin(), owners.end(), [&](const Json& owner) { return text_at(owner, {"uid"}) == uid; });
      if (!owned) continue;
      const auto parts = split_outside_parentheses(name, '/');
      dependents.push_back({{parts[0], parts[1], key.first, parts[2], key.second, ""}, stored.object});
    }
  }
  for (auto& [target, object] : dependents) {
    Json others = Json::array();
    for (const Json& owner : object["metadata"]["ownerReferences"]) {
      if (text_at(owner, {"uid"}) != uid) others.push_back(owner);
    }
    Stored* stored = find(target);
    if (stored == nullptr) continue;
    if (!orphan && others.empty()) {
      (void)remove(target, Json::object());
      continue;
    }
    object["metadata"]["ownerReferences"] = others;
    if (others.empty()) object["metadata"].erase("ownerReferences");
    (void)store(target, *stored, object, "");
  }
}

std::optional<Json> FakeApiStore::event_of(const ApiChange& change, const std::string& ns,
                                           const ApiSelector& selector) {
  const Json& any = change.now.is_null() ? change.before : change.now;
  if (!ns.empty() && kube::key_of(any).ns != ns) return {};
  const bool was = !change.before.is_null() && selector.matches(change.before);
  const bool is = !change.now.is_null() && selector.matches(change.now);
  if (!was && !is) return {};
  Json object = is ? change.now : change.now.is_null() ? change.before : change.now;
  object["metadata"]["resourceVersion"] = std::to_string(change.version);
  return Json{{"type", is ? (was ? "MODIFIED" : "ADDED") : "DELETED"}, {"object", std::move(object)}};
}

}  // namespace imagebuild::fakes
