// Whether the objects exist that a spec names.
#pragma once

#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "api/image_build_references.h"
#include "kube/client.h"
#include "kube/workqueue.h"

namespace imagebuild::op {

// For any thread. What exists is believed for a while, what does not is looked up each time.
class References {
 public:
  // `client` outlives this.
  explicit References(
      const kube::Client& client, kube::SteadyClock now = [] { return std::chrono::steady_clock::now(); })
      : client_(client), now_(std::move(now)) {}

  // Those of `wanted` that are not there; as reconcile() wants them (Observed::missing). What the API server does not
  // answer, or does not let the operator see, counts as there: the pods will tell.
  std::vector<api::Reference> missing(const std::string& ns, const std::vector<api::Reference>& wanted,
                                      std::stop_token stop);
  // Whether claims of the StorageClass (empty: the default one) get a volume without waiting for a pod. As missing()
  // saw it last; false when it never did.
  bool binds_at_once(const std::string& storage_class) const;

 private:
  bool exists(const std::string& ns, api::Reference& reference, std::stop_token stop);
  bool has_default_class(std::stop_token stop);
  void note_class(const std::string& name, const kube::Json& storage_class);

  const kube::Client& client_;
  const kube::SteadyClock now_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, api::Reference>, kube::SteadyTime> believed_until_;
  std::map<std::string, bool> binds_at_once_;
};

}  // namespace imagebuild::op
