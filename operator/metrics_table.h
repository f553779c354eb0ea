// Every metric of the operator, said once: they are made from this table, and docs/reference/metrics.md is checked
// against it. The names that other controllers have too are controller-runtime's, client-go's and Prometheus' own.
#pragma once

#include <string_view>

namespace imagebuild::op {

enum class MetricType { kCounter, kGauge, kHistogram };

// The bounds of a histogram's buckets.
enum class Buckets {
  kNone,
  kQueue,      // 10 µs to 1000 s, as of client-go's workqueue: ten times the one before.
  kReconcile,  // 5 ms to 60 s, as of controller-runtime.
  kWait,       // 100 ms to 1 h.
  kBuild,      // 1 s to 6 h.
  kImage,      // 1 MiB to 64 GiB, by four.
};

struct MetricSpec {
  std::string_view name;
  MetricType type;
  std::string_view labels;  // With commas between.
  std::string_view help;    // For the scrape and for the documentation.
  Buckets buckets = Buckets::kNone;
};

inline constexpr MetricSpec kMetrics[] = {
    {"imagebuild_builds_total", MetricType::kCounter, "namespace,result,reason",
     "Builds that ended, by namespace, result (succeeded, failed, cancelled) and reason."},
    {"imagebuild_build_duration_seconds", MetricType::kHistogram, "result",
     "Time from the start of a build to its end, the queue not counted.", Buckets::kBuild},
    {"imagebuild_stage_duration_seconds", MetricType::kHistogram, "result",
     "Time a stage's container ran, by result (succeeded, failed, cancelled).", Buckets::kBuild},
    {"imagebuild_stage_pod_startup_seconds", MetricType::kHistogram, "",
     "Time from the creation of a stage's pod until its container runs: scheduling, volumes and image pull.",
     Buckets::kWait},
    {"imagebuild_queue_seconds", MetricType::kHistogram, "",
     "Time from the creation or change of an ImageBuild until its build starts.", Buckets::kWait},
    {"imagebuild_cache_requests_total", MetricType::kCounter, "result",
     "Stages that were looked up in the cache, by result (hit, miss)."},
    {"imagebuild_warnings_total", MetricType::kCounter, "rule",
     "Warnings of builds that ended, by the rule that makes them."},
    {"imagebuild_image_size_bytes", MetricType::kHistogram, "", "Compressed size of the layers of pushed images.",
     Buckets::kImage},
    {"imagebuild_artifact_bytes_total", MetricType::kCounter, "",
     "Bytes that stages exported to artifact volumes for other stages and the publish pod."},
    {"imagebuild_builds_running", MetricType::kGauge, "", "Builds that run now."},
    {"imagebuild_build_info", MetricType::kGauge, "version", "Always 1; the label is the operator's version."},

    {"workqueue_depth", MetricType::kGauge, "name", "Keys that wait in the queue."},
    {"workqueue_adds_total", MetricType::kCounter, "name", "Keys that were added to the queue."},
    {"workqueue_retries_total", MetricType::kCounter, "name", "Keys that came back after a failure."},
    {"workqueue_queue_duration_seconds", MetricType::kHistogram, "name", "Time a key waited in the queue.",
     Buckets::kQueue},
    {"workqueue_work_duration_seconds", MetricType::kHistogram, "name", "Time a key was worked on.", Buckets::kQueue},
    {"workqueue_unfinished_work_seconds", MetricType::kGauge, "name",
     "Sum of the times that the keys being worked on now have taken so far. One that grows is stuck."},
    {"workqueue_longest_running_processor_seconds", MetricType::kGauge, "name",
     "How long the key that has been worked on the longest has taken so far."},

    {"controller_runtime_reconcile_total", MetricType::kCounter, "controller,result",
     "Reconciliations, by result (success, error, requeue, requeue_after)."},
    {"controller_runtime_reconcile_errors_total", MetricType::kCounter, "controller", "Reconciliations that failed."},
    {"controller_runtime_reconcile_time_seconds", MetricType::kHistogram, "controller", "Time of a reconciliation.",
     Buckets::kReconcile},
    {"controller_runtime_max_concurrent_reconciles", MetricType::kGauge, "controller",
     "Workers that reconcile: --workers."},
    {"controller_runtime_active_workers", MetricType::kGauge, "controller", "Workers that reconcile right now."},

    {"rest_client_requests_total", MetricType::kCounter, "code,method",
     "Requests to the API server, by method and status code; <error>: there was no answer."},
    {"leader_election_master_status", MetricType::kGauge, "name",
     "1 on the replica that holds the lease of that name and builds, 0 on the others."},

    {"process_cpu_seconds_total", MetricType::kCounter, "", "CPU time of the operator, user and system."},
    {"process_resident_memory_bytes", MetricType::kGauge, "", "Memory of the operator that is resident."},
    {"process_virtual_memory_bytes", MetricType::kGauge, "", "Address space of the operator."},
    {"process_open_fds", MetricType::kGauge, "", "File descriptors that are open."},
    {"process_max_fds", MetricType::kGauge, "", "File descriptors that may be open."},
    {"process_start_time_seconds", MetricType::kGauge, "", "When the operator started, in seconds since 1970."},
};

}  // namespace imagebuild::op
