// The loop: a key of an ImageBuild comes out of the queue, what is in the cluster is observed, reconcile() decides, the
// status is written, the actions are done. Alone knows the queue's policy.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "kube/client.h"
#include "kube/workqueue.h"
#include "operator/act.h"
#include "operator/inventory.h"
#include "operator/log.h"
#include "operator/metrics.h"
#include "operator/observe.h"
#include "operator/recollection.h"
#include "operator/reports.h"
#include "operator/slots.h"

namespace imagebuild::op {

// What the controller works with; all outlive it.
struct ControllerParts {
  const kube::Client& client;
  const Inventory& inventory;
  kube::WorkQueue& queue;
  Slots& slots;
  Reports& reports;
  const Observer& observer;
  const Actor& actor;
  Metrics& metrics;
  const Log& log;
  int workers = 4;
  // What only tells how a build goes on is written at most so often: one status instead of several.
  std::chrono::milliseconds status_pace{1'000};
  kube::SteadyClock now = [] { return std::chrono::steady_clock::now(); };
};

class Controller {
 public:
  explicit Controller(ControllerParts parts) : parts_(parts) {}
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;
  ~Controller() { stop(); }

  // Begins to work, once the inventory is complete. Call it once, when this process leads.
  void start();
  // Takes nothing new and lets what is being worked on come to its end, for at most kStopGrace; then it is cut off.
  static constexpr std::chrono::seconds kStopGrace{10};
  void stop();

  // One key: what a worker does.
  void reconcile(const kube::ObjectKey& key, std::stop_token stop);

 private:
  struct Outcome {
    ReconcileResult result = ReconcileResult::kSuccess;
    std::optional<Error> error;
    std::optional<std::chrono::milliseconds> after;
  };
  void take_over();
  void work(const std::stop_token& stop);
  Outcome decide_and_act(const kube::ObjectKey& key, const std::stop_token& stop);
  Outcome decide_and_act(const api::ImageBuild& build, const kube::Json& object, Recollection& memory,
                         const std::stop_token& stop);
  // The newest that is known of the object: the copy of the watch, or our own write that the watch does not show yet.
  static kube::Object newest(const kube::Object& watched, Recollection& memory);
  // Of a build that has ended the watch keeps next to nothing: all of it, from the API server.
  kube::ApiResult<kube::Object> whole(const kube::ObjectKey& key, Recollection& memory,
                                      const std::stop_token& stop) const;
  static Result<std::shared_ptr<const api::ImageBuild>> parsed(const kube::Object& object, Recollection& memory);
  // How long the decision's status may wait to be written; nothing when it must be now, or says nothing new.
  std::optional<std::chrono::milliseconds> may_wait(const build::Decision& decision,
                                                    const api::ImageBuildStatus& before,
                                                    const Recollection& memory) const;
  kube::ApiStatus write_status(const kube::Json& object, const api::ImageBuildStatus& status, Recollection& memory,
                               const std::stop_token& stop) const;
  void settle_slot(const api::ImageBuild& build, const api::ImageBuildStatus& status);
  void release_slot(const std::string& uid);
  void forget(const kube::ObjectKey& key);
  void settle(const kube::ObjectKey& key, const std::string& uid);

  const ControllerParts parts_;
  Recollections recollections_;
  std::once_flag taken_over_;
  std::stop_source cut_off_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int active_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace imagebuild::op
