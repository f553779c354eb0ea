// The queue between informers and workers: a key waits in it at most once and is worked on by at most one worker at a
// time; what fails comes back after a growing delay. The rules are those of client-go's workqueue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>

#include "kube/resource.h"

namespace imagebuild::kube {

using SteadyTime = std::chrono::steady_clock::time_point;
using SteadyClock = std::function<SteadyTime()>;

// Called with the queue's lock held: count and return. Absent ones are skipped.
struct WorkQueueMetrics {
  std::function<void(std::size_t keys)> depth;                // workqueue_depth
  std::function<void()> added;                                // workqueue_adds_total
  std::function<void()> retried;                              // workqueue_retries_total
  std::function<void(std::chrono::duration<double>)> waited;  // workqueue_queue_duration_seconds
  std::function<void(std::chrono::duration<double>)> worked;  // workqueue_work_duration_seconds
};

struct WorkQueueOptions {
  std::chrono::milliseconds first_delay{5};          // Of add_rate_limited; it doubles with each failure of a key …
  std::chrono::milliseconds longest_delay{300'000};  // … up to this.
  SteadyClock now = [] { return std::chrono::steady_clock::now(); };
  WorkQueueMetrics metrics = {};
};

// All functions are for any thread. The workers belong to the caller:
//   while (auto key = queue.take(stop)) { reconcile(*key); queue.done(*key); }
class WorkQueue {
 public:
  explicit WorkQueue(WorkQueueOptions options = {}) : options_(std::move(options)) {}

  // Queues a key, unless it waits already. One that is being worked on comes again after its done().
  void add(const ObjectKey& key);
  // The same after a delay; the earliest of several delays counts.
  void add_after(const ObjectKey& key, std::chrono::milliseconds delay);
  // The same after the delay its failures earned; forget() ends the count.
  void add_rate_limited(const ObjectKey& key);
  void forget(const ObjectKey& key);
  int failures(const ObjectKey& key) const;

  // The next key, which the caller answers with done(). Waits while there is none; nothing when `stop` is requested, or
  // after shut_down() when the queue is empty.
  std::optional<ObjectKey> take(std::stop_token stop = {});
  // The same without waiting.
  std::optional<ObjectKey> try_take();
  void done(const ObjectKey& key);

  // Refuses new keys and drops the delayed ones; what waits is still handed out.
  void shut_down();
  // The same, and waits until every key that was handed out is done and none waits: workers must go on taking.
  void drain();
  bool shutting_down() const;

  std::size_t size() const;     // Keys that wait now, the delayed ones not counted.
  std::size_t delayed() const;  // Keys that are delayed.
  // When the earliest delayed key is due.
  std::optional<SteadyTime> next_due() const;
  // Looks at the clock again: for clocks that jump.
  void wake();

  // For the gauges workqueue_unfinished_work_seconds (the sum) and workqueue_longest_running_processor_seconds.
  struct Running {
    std::chrono::duration<double> sum{0}, longest{0};
  };
  Running running() const;

 private:
  void enqueue(const ObjectKey& key);
  void promote_due();
  std::optional<ObjectKey> pop();
  template <class Hook, class... Arguments>
  static void tell(const Hook& hook, Arguments... arguments) {
    if (hook) hook(arguments...);
  }

  const WorkQueueOptions options_;
  mutable std::mutex mutex_;
  // One waiting worker is woken for one key; who takes something wakes the next if there is more to take or to wait
  // for.
  std::condition_variable_any changed_;
  std::condition_variable_any drained_;
  std::deque<ObjectKey> queue_;                           // In order; each of these is dirty and not being worked on.
  std::unordered_map<ObjectKey, SteadyTime> dirty_;       // To be worked on, with the time of their add.
  std::unordered_map<ObjectKey, SteadyTime> processing_;  // Handed out, with the time of it.
  std::multimap<SteadyTime, ObjectKey> delays_;
  std::unordered_map<ObjectKey, SteadyTime> delayed_until_;
  std::unordered_map<ObjectKey, int> failures_;
  bool shutting_down_ = false;
};

}  // namespace imagebuild::kube
