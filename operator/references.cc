#include "operator/references.h"

#include <algorithm>

#include "operator/inventory.h"

namespace imagebuild::op {

namespace {

constexpr std::chrono::seconds kBelief{60};

using Kind = api::Reference::Kind;

kube::Resource resource_of(Kind kind) {
  switch (kind) {
    case Kind::kSecret:
      return secrets();
    case Kind::kConfigMap:
      return config_maps();
    case Kind::kClaim:
      return claims();
    case Kind::kStorageClass:
      return storage_classes();
  }
  return secrets();
}

bool is_default(const kube::Json& storage_class) {
  return kube::text_at(storage_class, {"metadata", "annotations", "storageclass.kubernetes.io/is-default-class"}) ==
             "true" ||
         kube::text_at(storage_class,
                       {"metadata", "annotations", "storageclass.beta.kubernetes.io/is-default-class"}) == "true";
}

}  // namespace

std::vector<api::Reference> References::missing(const std::string& ns, const std::vector<api::Reference>& wanted,
                                                std::stop_token stop) {
  std::vector<api::Reference> result;
  for (const api::Reference& reference : wanted) {
    const auto place = std::pair(ns, reference);
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(believed_until_, [&](const auto& entry) { return entry.second <= now_(); });
      if (believed_until_.contains(place)) continue;
    }
    api::Reference found = reference;
    if (!exists(ns, found, stop)) {
      result.push_back(found);
      continue;
    }
    const std::lock_guard lock(mutex_);
    believed_until_[place] = now_() + kBelief;
  }
  return result;
}

// Without its key, when the object itself is not there.
bool References::exists(const std::string& ns, api::Reference& reference, std::stop_token stop) {
  if (reference.kind == Kind::kStorageClass && reference.name.empty()) return has_default_class(stop);
  const kube::ObjectKey key{reference.kind == Kind::kStorageClass ? "" : ns, reference.name};
  const auto object = client_.get(resource_of(reference.kind), key, stop);
  if (!object.ok()) {
    if (!object.error().is_not_found()) return true;
    reference.key.clear();
    return false;
  }
  if (reference.kind == Kind::kStorageClass) note_class(reference.name, *object);
  if (reference.key.empty()) return true;
  return kube::at(*object, {"data"}).contains(reference.key) ||
         kube::at(*object, {"binaryData"}).contains(reference.key);
}

bool References::has_default_class(std::stop_token stop) {
  const auto classes = client_.list(storage_classes(), "", {}, stop);
  if (!classes.ok()) return true;
  const auto found = std::ranges::find_if(classes->items, is_default);
  if (found == classes->items.end()) return false;
  note_class("", *found);
  return true;
}

void References::note_class(const std::string& name, const kube::Json& storage_class) {
  // Where it says nothing, that means Immediate.
  const bool at_once = kube::text_at(storage_class, {"volumeBindingMode"}) != "WaitForFirstConsumer";
  const std::lock_guard lock(mutex_);
  binds_at_once_[name] = at_once;
}

bool References::binds_at_once(const std::string& storage_class) const {
  const std::lock_guard lock(mutex_);
  const auto found = binds_at_once_.find(storage_class);
  return found != binds_at_once_.end() && found->second;
}

}  // namespace imagebuild::op
