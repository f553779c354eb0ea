// What this process remembers of each ImageBuild besides what the cluster says. Losing it (a restart, another leader)
// costs some requests, nothing else.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "api/image_build.h"
#include "api/plan.h"
#include "build/reconcile_state.h"
#include "kube/informer.h"
#include "kube/workqueue.h"

namespace imagebuild::op {

// A creation that the API server refused, and when it is tried again.
struct RefusedCreation {
  build::Refusal refusal;
  std::chrono::milliseconds delay{0};
  kube::SteadyTime next_try{};
};

// The plan that a prepare pod made.
struct KnownPlan {
  std::string pod;
  std::shared_ptr<const api::Plan> plan;
};

// Objects that were created and that no watch shows yet, by name.
struct Made {
  kube::Object object;  // As the inventory keeps it.
  kube::SteadyTime believed_until{};
};
using MadeObjects = std::map<std::string, Made>;
// So long a watch may take to show what was created; then it is taken for gone.
inline constexpr std::chrono::seconds kWatchPatience{5};

struct Recollection {
  std::string uid;
  // The object as the last write of its status left it, until the watch shows that or something newer: it stands for
  // any of the versions that it replaced.
  kube::Object written;
  std::set<std::string> replaced_versions;
  kube::SteadyTime written_at{};
  // What the object that it points to says.
  kube::Object parsed_from;
  std::shared_ptr<const api::ImageBuild> parsed;
  MadeObjects made_pods, made_claims, made_records;
  // Records that were deleted and that a watch may still show: so long they are taken for gone.
  std::map<std::string, kube::SteadyTime> removed_records;
  std::optional<KnownPlan> plan;
  std::string recorded_plan_of;                    // The pod whose plan this process has put into the record.
  std::map<std::string, RefusedCreation> refused;  // By the object's name.
  kube::SteadyTime no_pod_ahead_until{};           // One was refused (CreatePod::early).
  std::set<std::string> outcomes_read;             // Pods whose log was read (build::Pod::outcome_read).
  std::map<std::string, int> log_failures;         // Pods whose log could not be read, how often.
};

// The queue hands a key to one worker at a time, so only that worker touches the key's recollection.
class Recollections {
 public:
  // That of the object; another object of the same name begins with an empty one.
  Recollection& of(const kube::ObjectKey& key, const std::string& uid) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Recollection>& entry = entries_[key];
    if (!entry || entry->uid != uid) {
      entry = std::make_unique<Recollection>();
      entry->uid = uid;
    }
    return *entry;
  }
  // Of the object of this name that is remembered; empty if none is.
  std::string uid_of(const kube::ObjectKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    return found == entries_.end() ? "" : found->second->uid;
  }
  // The UID of what is forgotten; empty if nothing was known.
  std::string forget(const kube::ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return {};
    std::string uid = found->second->uid;
    entries_.erase(found);
    return uid;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<kube::ObjectKey, std::unique_ptr<Recollection>> entries_;
};

}  // namespace imagebuild::op
