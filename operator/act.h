// Carries out what reconcile() decided.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "build/reconcile.h"
#include "kube/client.h"
#include "kube/events.h"
#include "kube/workqueue.h"
#include "operator/pods/pod.h"
#include "operator/recollection.h"
#include "operator/reports.h"

namespace imagebuild::op {

// What acting needs; all outlive the actor.
struct ActorParts {
  const kube::Client& client;
  kube::EventRecorder& events;
  Reports& reports;
  ClusterSettings settings;
  kube::SteadyClock now = [] { return std::chrono::steady_clock::now(); };
};

// What came of the actions.
struct Acted {
  bool decide_again = false;                       // Something is known now that the decision did not know.
  std::optional<std::chrono::milliseconds> after;  // Come back then, whatever changes until then.
  std::optional<Error> error;                      // The first that should be tried again soon.
};

class Actor {
 public:
  explicit Actor(ActorParts parts) : parts_(std::move(parts)) {}

  // Makes the claim and the record that a first pod of `decision` will want, if it wants any; what goes wrong is left
  // to act(). By themselves they do nothing, so this may go on while the status is being written: it touches no more of
  // `memory` than what was made.
  static bool needs_ground(const build::Decision& decision, const Recollection& memory);
  void lay_ground(const build::Decision& decision, const build::Observed& seen, const kube::Json& object,
                  Recollection& memory, std::stop_token stop) const;

  // In order, whatever fails on the way: each action stands for itself. `object` is the ImageBuild as the API has it.
  Acted act(const build::Decision& decision, const build::Observed& seen, const kube::Json& object,
            Recollection& memory, std::stop_token stop) const;

 private:
  class Round;
  const ActorParts parts_;
};

}  // namespace imagebuild::op
