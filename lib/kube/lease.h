// Leader election by a coordination.k8s.io/v1 Lease, by the rules of client-go: of several replicas one works.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/workqueue.h"

namespace imagebuild::kube {

struct LeaseOptions {
  ObjectKey lease;       // Namespace and name of the Lease.
  std::string identity;  // Of this process; unique, for instance the pod's name and a random part.
  std::chrono::milliseconds duration{15'000};        // Others wait so long after the last renewal they saw.
  std::chrono::milliseconds renew_deadline{10'000};  // The leader gives up after so long without a renewal.
  std::chrono::milliseconds retry_period{2'000};     // Between tries; stretched by up to 1.2 times it while waiting.
  bool release_on_stop = true;  // The next leader need not wait. Only if nothing is worked on after on_stopped.
};

// Time for elections. How old a renewal is, is always told by this process's own clock since it saw the renewal:
// clocks of other machines are never trusted.
struct LeaseSeams {
  SteadyClock now = [] { return std::chrono::steady_clock::now(); };
  Clock wall = system_clock_now;  // Only written into the Lease, for people.
  std::function<void(std::chrono::milliseconds, const std::stop_token&)> sleep = {};  // Absent: really.
  std::function<double()> random = {};                                                // In [0, 1); absent: really.
};

// Called on the thread of run(); they must return soon.
struct LeaseCallbacks {
  std::function<void()> on_started;  // This process leads from now on.
  std::function<void()> on_stopped;  // It does not any more. All work must end before it returns, or be harmless.
  std::function<void(const std::string& identity)> on_leader = {};  // Whoever leads, each time it is somebody else.
};

class LeaderElector {
 public:
  enum class Outcome { kStopped, kLost };

  LeaderElector(const Client& client, LeaseOptions options, LeaseCallbacks callbacks, LeaseSeams seams = {});

  // Waits to lead, leads, and returns when stopped or when leadership is lost (start again, or end the process).
  Outcome run(std::stop_token stop);

  // For any thread. Whether this process leads, by its own clock: also false when run() hangs in a renewal for longer
  // than the renew deadline.
  bool is_leader() const;

  // One try to take or renew the Lease: what run() does in a loop.
  bool try_acquire_or_renew(const std::stop_token& stop);

 private:
  void wait(std::chrono::milliseconds duration, const std::stop_token& stop) const;
  Outcome lead(const std::stop_token& stop);
  void release();
  void observe(const Json& lease);
  Json wanted(const Json* current) const;

  const Client client_;
  const LeaseOptions options_;
  const LeaseCallbacks callbacks_;
  const LeaseSeams seams_;
  Json observed_;             // The Lease as last seen …
  SteadyTime observed_at_{};  // … and when it was seen to change.
  std::string leader_;
  mutable std::mutex mutex_;
  std::optional<SteadyTime> renewed_at_;  // While leading.
};

}  // namespace imagebuild::kube
