// What the operator knows of the cluster: local copies of ImageBuilds and of the objects made for them, kept by
// watches.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "kube/informer.h"

namespace imagebuild::op {

kube::Resource image_builds();
kube::Resource config_maps();
kube::Resource secrets();
kube::Resource claims();
kube::Resource storage_classes();

// The annotation of a record with the pod that made its plan, and what it says; empty while there is no plan.
inline constexpr const char* kPlannedByAnnotation = "imagebuild.dev/planned-by";
std::string planned_by(const kube::Json& record);

// What is kept of a record; its content is read when it is needed.
kube::Json project_record(kube::Json record);

struct InventoryOptions {
  std::vector<std::string> namespaces;  // Empty: all.
  // Something about this ImageBuild changed. Called on watch threads; must be quick.
  std::function<void(const kube::ObjectKey& build)> on_change;
  std::function<void(const kube::Resource& resource, const kube::ApiError& error)> on_error = {};
};

// The objects that ownerReferences say belong to one ImageBuild.
struct Owned {
  std::vector<kube::Object> pods, claims, records;
};

// Reading is for any thread.
class Inventory {
 public:
  // `client` outlives the inventory.
  Inventory(const kube::Client& client, InventoryOptions options);
  Inventory(const Inventory&) = delete;
  Inventory& operator=(const Inventory&) = delete;
  ~Inventory();

  void start();
  void stop();
  bool has_synced() const;
  bool wait_for_sync(std::stop_token stop) const;  // False when stopped before.

  // As project_build() keeps them.
  kube::Object build(const kube::ObjectKey& key) const;  // Null when there is none.
  std::vector<kube::Object> builds() const;              // In no order.
  std::size_t builds_in(const std::string& ns) const;
  Owned owned_by(const std::string& uid) const;
  bool owns_anything(const std::string& uid) const;

 private:
  using Members = std::map<kube::ObjectKey, kube::Object>;
  struct Kinds {
    Members pods, claims, records;
  };
  void watch(const kube::Client& client, kube::Resource resource, const std::string& ns, Members Kinds::*kind,
             std::function<kube::Json(kube::Json)> project);
  void count(const kube::Object& before, const kube::Object& now);
  void index(Members Kinds::*kind, const kube::Object& before, const kube::Object& now);

  const InventoryOptions options_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Kinds> owned_;  // By the ImageBuild's UID.
  std::map<std::string, std::size_t> builds_in_;  // By namespace.
  std::vector<std::unique_ptr<kube::Informer>> builds_;
  std::vector<std::unique_ptr<kube::Informer>> informers_;  // Of everything else.
};

}  // namespace imagebuild::op
