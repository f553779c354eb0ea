// Gathers what reconcile() decides by: the objects of a build, what its builders told, and what is missing.
#pragma once

#include <stop_token>

#include "base/clock.h"
#include "build/reconcile_state.h"
#include "operator/inventory.h"
#include "operator/recollection.h"
#include "operator/references.h"
#include "operator/reports.h"
#include "operator/slots.h"

namespace imagebuild::op {

// What observing needs; all outlive the observer.
struct ObserverParts {
  const kube::Client& client;
  const Inventory& inventory;
  References& references;
  Reports& reports;
  Slots& slots;
  Clock now = system_clock_now;
  kube::SteadyClock steady_now = [] { return std::chrono::steady_clock::now(); };
  api::CacheSettings default_cache = {};  // For builds whose spec says nothing of a cache.
};

class Observer {
 public:
  explicit Observer(ObserverParts parts) : parts_(std::move(parts)) {}

  // An error when something that should be readable is not: try again later.
  Result<build::Observed> observe(api::ImageBuild build, Recollection& memory, std::stop_token stop) const;

 private:
  void read_pods(const std::vector<kube::Object>& pods, const Recollection& memory, build::Observed& seen) const;
  Status read_plan(const Owned& owned, Recollection& memory, build::Observed& seen, std::stop_token stop) const;
  Owned owned_by(const std::string& uid, Recollection& memory) const;
  void use_default_cache(api::ImageBuild& build, std::stop_token stop) const;
  bool slot_free(const api::ImageBuild& build) const;

  const ObserverParts parts_;
};

// The pod whose plan counts: the last attempt at prepare of the build that the status speaks of; empty: none.
std::string preparing_pod(const build::Observed& seen);

}  // namespace imagebuild::op
