#include "operator/inventory.h"

#include <algorithm>
#include <utility>

#include "api/image_build.h"
#include "operator/objects.h"
#include "operator/pods/metadata.h"

namespace imagebuild::op {

namespace {

void collect(const std::map<kube::ObjectKey, kube::Object>& from, std::vector<kube::Object>& to) {
  for (const auto& [key, object] : from) to.push_back(object);
}

}  // namespace

kube::Resource image_builds() {
  return {api::kGroup, api::kVersion, api::kPlural, api::kKind};
}
kube::Resource config_maps() {
  return {"", "v1", "configmaps", "ConfigMap"};
}
kube::Resource secrets() {
  return {"", "v1", "secrets", "Secret"};
}
kube::Resource claims() {
  return {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};
}
kube::Resource storage_classes() {
  return {"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};
}

std::string planned_by(const kube::Json& record) {
  return kube::text_at(record, {"metadata", "annotations", kPlannedByAnnotation});
}

kube::Json project_record(kube::Json record) {
  return {{"metadata",
           {{"name", kube::text_at(record, {"metadata", "name"})},
            {"namespace", kube::text_at(record, {"metadata", "namespace"})},
            {"ownerReferences", kube::at(record, {"metadata", "ownerReferences"})},
            {"annotations", {{kPlannedByAnnotation, planned_by(record)}}}}}};
}

Inventory::Inventory(const kube::Client& client, InventoryOptions options) : options_(std::move(options)) {
  std::vector<std::string> namespaces = options_.namespaces;
  if (namespaces.empty()) namespaces.emplace_back();
  for (const std::string& ns : namespaces) {
    kube::InformerOptions informer{.resource = image_builds(),
                                   .ns = ns,
                                   .project = project_build,
                                   .project_text = project_settled,
                                   .first_from_cache = true};
    informer.on_error = [this](const kube::ApiError& error) {
      if (options_.on_error) options_.on_error(image_builds(), error);
    };
    builds_.push_back(std::make_unique<kube::Informer>(client, std::move(informer),
                                                       [this](const kube::Object& before, const kube::Object& now) {
                                                         count(before, now);
                                                         options_.on_change(kube::key_of(now ? *now : *before));
                                                       }));
    watch(client, kube::pods(), ns, &Kinds::pods, project_pod);
    watch(client, claims(), ns, &Kinds::claims, project_claim);
    watch(client, config_maps(), ns, &Kinds::records, project_record);
  }
}

Inventory::~Inventory() {
  stop();
}

void Inventory::watch(const kube::Client& client, kube::Resource resource, const std::string& ns, Members Kinds::*kind,
                      std::function<kube::Json(kube::Json)> project) {
  kube::InformerOptions informer{
      .resource = resource, .ns = ns, .label_selector = managed_selector(), .first_from_cache = true};
  informer.project = std::move(project);
  informer.on_error = [this, resource](const kube::ApiError& error) {
    if (options_.on_error) options_.on_error(resource, error);
  };
  informers_.push_back(std::make_unique<kube::Informer>(
      client, std::move(informer),
      [this, kind](const kube::Object& before, const kube::Object& now) { index(kind, before, now); }));
}

void Inventory::count(const kube::Object& before, const kube::Object& now) {
  if (before && now) return;
  const std::string ns = kube::key_of(now ? *now : *before).ns;
  const std::lock_guard lock(mutex_);
  std::size_t& builds = builds_in_[ns];
  builds += now ? 1 : -1;
  if (builds == 0) builds_in_.erase(ns);
}

void Inventory::index(Members Kinds::*kind, const kube::Object& before, const kube::Object& now) {
  const kube::Json& object = now ? *now : *before;
  const auto owner = owner_of(object);
  if (!owner) return;
  {
    const std::lock_guard lock(mutex_);
    Kinds& kinds = owned_[owner->uid];
    if (now) {
      (kinds.*kind)[kube::key_of(object)] = now;
    } else {
      (kinds.*kind).erase(kube::key_of(object));
    }
    if (kinds.pods.empty() && kinds.claims.empty() && kinds.records.empty()) owned_.erase(owner->uid);
  }
  options_.on_change(owner->key);
}

void Inventory::start() {
  for (const auto& informer : builds_) informer->start();
  for (const auto& informer : informers_) informer->start();
}

void Inventory::stop() {
  for (const auto& informer : builds_) informer->stop();
  for (const auto& informer : informers_) informer->stop();
}

bool Inventory::has_synced() const {
  const auto synced = [](const auto& informer) { return informer->has_synced(); };
  return std::ranges::all_of(builds_, synced) && std::ranges::all_of(informers_, synced);
}

bool Inventory::wait_for_sync(std::stop_token stop) const {
  const auto synced = [&](const auto& informer) { return informer->wait_for_sync(stop); };
  return std::ranges::all_of(builds_, synced) && std::ranges::all_of(informers_, synced);
}

kube::Object Inventory::build(const kube::ObjectKey& key) const {
  for (const auto& informer : builds_) {
    if (kube::Object found = informer->get(key)) return found;
  }
  return nullptr;
}

std::vector<kube::Object> Inventory::builds() const {
  std::vector<kube::Object> all;
  for (const auto& informer : builds_) {
    for (kube::Object& object : informer->list()) all.push_back(std::move(object));
  }
  return all;
}

std::size_t Inventory::builds_in(const std::string& ns) const {
  const std::lock_guard lock(mutex_);
  const auto found = builds_in_.find(ns);
  return found == builds_in_.end() ? 0 : found->second;
}

bool Inventory::owns_anything(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  return owned_.contains(uid);
}

Owned Inventory::owned_by(const std::string& uid) const {
  Owned owned;
  const std::lock_guard lock(mutex_);
  const auto found = owned_.find(uid);
  if (found == owned_.end()) return owned;
  collect(found->second.pods, owned.pods);
  collect(found->second.claims, owned.claims);
  collect(found->second.records, owned.records);
  return owned;
}

}  // namespace imagebuild::op
