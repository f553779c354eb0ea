// The operator's Prometheus metrics: typed functions to count with, and the text that a scrape gets. Names, types and
// labels: metrics_table.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kube/workqueue.h"

namespace imagebuild::op {

enum class BuildResult { kSucceeded, kFailed, kCancelled };
enum class StageResult { kSucceeded, kFailed, kCancelled };
// As controller-runtime counts them. A retry after a delay that the controller chose is kRequeueAfter.
enum class ReconcileResult { kSuccess, kError, kRequeue, kRequeueAfter };

// All functions are for any thread. Label values are bounded: what is not one of the known reasons, methods or codes is
// counted as "Other".
class Metrics {
 public:
  using Seconds = std::chrono::duration<double>;

  struct Options {
    std::string version;     // imagebuild_build_info
    int workers = 1;         // controller_runtime_max_concurrent_reconciles
    std::string lease_name;  // The label of leader_election_master_status.
  };

  explicit Metrics(const Options& options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // What GET /metrics answers, in the text format 0.0.4; gauges of the process and the queue are read now.
  std::string text();
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // Builds. `reason`: api/reasons.h, of how it ended.
  void build_finished(const std::string& ns, BuildResult result, std::string_view reason, Seconds duration);
  void stage_finished(StageResult result, Seconds duration);
  void pod_started(Seconds startup);    // From the creation of a stage's pod until its container runs.
  void queued(Seconds waited);          // From the ImageBuild's change until its build starts.
  void cache(bool hit);                 // A stage was looked up.
  void warning(std::string_view rule);  // lint::rules(); empty: no rule's.
  void image(std::uint64_t bytes);      // A pushed image: its compressed layers.
  void artifact_bytes(std::uint64_t bytes);
  void builds_running(std::size_t builds);
  // Series of a namespace: created at zero with the first sight of it, so that increase() sees its first build, and
  // dropped when it is gone.
  void know_namespace(const std::string& ns);
  void forget_namespace(const std::string& ns);

  // For kube::ClientOptions::on_request. Code 0: there was no answer, "<error>" as client-go says.
  void request(const std::string& method, int code);

  // The queue's own metrics; the hooks may outlive nothing but this object.
  kube::WorkQueueMetrics queue_hooks();
  // Asked at every scrape for the gauges of running work, until it is replaced: give {} before the queue goes.
  void watch_queue(std::function<kube::WorkQueue::Running()> running);

  void reconcile_started();
  void reconciled(ReconcileResult result, Seconds duration);  // Ends what reconcile_started() began.
  void leader(bool is_leader);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imagebuild::op
