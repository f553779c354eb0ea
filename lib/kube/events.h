// Events on objects, for people (`kubectl describe`): events.k8s.io/v1, or v1 where a server has no other. Repeats of
// one event become a series, and one object cannot flood the API server.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>

#include "base/clock.h"
#include "kube/client.h"

namespace imagebuild::kube {

enum class EventType { kNormal, kWarning };

struct Event {
  Json regarding;  // An ObjectReference: apiVersion, kind, namespace, name, uid. See reference_to().
  EventType type = EventType::kNormal;
  std::string reason;  // "StageStarted": CamelCase, at most 128 bytes.
  std::string action;  // What the controller did: "Build"; at most 128 bytes.
  std::string note;    // A sentence; cut after 1024 bytes.
};

// What an event's `regarding` says about an object that has its kind and metadata.
Json reference_to(const Json& object);

struct EventOptions {
  std::string controller;  // "imagebuild.dev/operator"
  std::string instance;    // This process, as in the Lease; at most 128 bytes.
  Clock now = system_clock_now;
  std::chrono::seconds series_window{360};  // A repeat within this joins the series.
  int burst = 25;                           // So many events of one object at once, …
  std::chrono::seconds refill{300};         // … then one in this time. The rest is dropped and counted.
  std::size_t max_queued = 1000;            // Beyond, the oldest are dropped and counted.
};

// Threads may share one. Nothing here makes the caller wait for the network, and no failure reaches it: events are
// best effort.
class EventRecorder {
 public:
  // `client` outlives the recorder.
  EventRecorder(const Client& client, EventOptions options);
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;
  ~EventRecorder();

  void record(Event event);
  void start();                           // Sends on a thread of its own, until stop() or the end.
  void stop();                            // Sends what waits first, if it goes quickly.
  void flush(std::stop_token stop = {});  // Sends what waits on the caller's thread.

  std::size_t dropped() const;

 private:
  using SeriesKey = std::tuple<std::string, EventType, std::string, std::string, std::string>;
  struct Series {
    ObjectKey event;  // As created on the server.
    long long count = 1;
    WallTime first, last;
  };
  struct Bucket {
    double tokens = 0;
    WallTime filled;
  };
  struct Pending {
    Event event;
    WallTime when;
  };

  bool admit(const std::string& uid, WallTime now);
  void send(const Pending& pending, const std::stop_token& stop);
  bool join_series(const Pending& pending, Series& series, const std::stop_token& stop);
  bool create(const Pending& pending, const ObjectKey& name, const std::stop_token& stop);
  Json new_style(const Pending& pending, const ObjectKey& name) const;
  Json core_style(const Pending& pending, const ObjectKey& name) const;
  void forget_old(WallTime now);

  const Client& client_;
  const EventOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Pending> queue_;
  std::map<std::string, Bucket> buckets_;
  std::size_t dropped_ = 0;
  std::mutex sending_;  // Guards what follows; one flush at a time.
  std::map<SeriesKey, Series> series_;
  bool core_only_ = false;
  std::uint64_t counter_ = 0;
  std::jthread thread_;
};

}  // namespace imagebuild::kube
