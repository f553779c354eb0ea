#include "operator/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "api/reasons.h"
#include "lint/rules.h"
#include "operator/metrics_table.h"
#include "operator/process_stats.h"

namespace imagebuild::op {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

constexpr const char* kController = "imagebuild";
constexpr const char* kOther = "Other";

std::vector<double> bounds_of(Buckets buckets) {
  constexpr double kMinute = 60, kHour = 3600, kMiB = 1024 * 1024;
  switch (buckets) {
    case Buckets::kNone:
      return {};
    case Buckets::kQueue:
      return {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000};
    case Buckets::kReconcile:
      return {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60};
    case Buckets::kWait:
      return {.1, .25, .5, 1, 2.5, 5, 10, 30, kMinute, 2 * kMinute, 5 * kMinute, 15 * kMinute, kHour};
    case Buckets::kBuild:
      return {1,       2.5,         5,           10,           20,           40,
              kMinute, 2 * kMinute, 5 * kMinute, 10 * kMinute, 20 * kMinute, 40 * kMinute,
              kHour,   2 * kHour,   6 * kHour};
    case Buckets::kImage:
      return {kMiB, 4 * kMiB, 16 * kMiB, 64 * kMiB, 256 * kMiB, 1024 * kMiB, 4096 * kMiB, 16384 * kMiB, 65536 * kMiB};
  }
  return {};
}

std::string_view name_of(BuildResult result) {
  switch (result) {
    case BuildResult::kSucceeded:
      return "succeeded";
    case BuildResult::kFailed:
      return "failed";
    case BuildResult::kCancelled:
      return "cancelled";
  }
  return kOther;
}

std::string_view name_of(StageResult result) {
  switch (result) {
    case StageResult::kSucceeded:
      return "succeeded";
    case StageResult::kFailed:
      return "failed";
    case StageResult::kCancelled:
      return "cancelled";
  }
  return kOther;
}

std::string_view name_of(ReconcileResult result) {
  switch (result) {
    case ReconcileResult::kSuccess:
      return "success";
    case ReconcileResult::kError:
      return "error";
    case ReconcileResult::kRequeue:
      return "requeue";
    case ReconcileResult::kRequeueAfter:
      return "requeue_after";
  }
  return kOther;
}

constexpr std::array kBuildResults = {BuildResult::kSucceeded, BuildResult::kFailed, BuildResult::kCancelled};
constexpr std::array kStageResults = {StageResult::kSucceeded, StageResult::kFailed, StageResult::kCancelled};
constexpr std::array kReconcileResults = {ReconcileResult::kSuccess, ReconcileResult::kError, ReconcileResult::kRequeue,
                                          ReconcileResult::kRequeueAfter};

struct Ending {
  BuildResult result;
  std::string_view reason;
};

// Every way a build ends.
const std::vector<Ending>& endings() {
  static const std::vector<Ending> all = [] {
    std::vector<Ending> found = {{BuildResult::kSucceeded, api::reason::kSucceeded},
                                 {BuildResult::kCancelled, api::reason::kCancelled},
                                 {BuildResult::kCancelled, api::reason::kBuildSuperseded},
                                 {BuildResult::kCancelled, api::reason::kSuspended}};
    for (const api::reason::Reason& reason : api::reason::kTable) {
      if (reason.kind == api::reason::Kind::kFailure) found.push_back({BuildResult::kFailed, reason.name});
    }
    return found;
  }();
  return all;
}

std::string known_reason(BuildResult result, std::string_view reason) {
  const auto known = std::ranges::any_of(
      endings(), [&](const Ending& ending) { return ending.result == result && ending.reason == reason; });
  return std::string(known ? reason : kOther);
}

// As client-go: the method of the request, and "<error>" for the code when there was no answer.
Labels request_labels(const std::string& method, int code) {
  static const std::set<std::string> methods = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};
  const bool real = code >= 100 && code <= 599;
  return {{"code", real ? std::to_string(code) : "<error>"}, {"method", methods.contains(method) ? method : kOther}};
}

}  // namespace

struct Metrics::State {
  template <class T>
  using Families = std::map<std::string, prometheus::Family<T>*, std::less<>>;

  explicit State(const Options& options);

  Counter& counter(const std::string& name, const Labels& labels = {}) { return counters.at(name)->Add(labels); }
  Gauge& gauge(const std::string& name, const Labels& labels = {}) { return gauges.at(name)->Add(labels); }
  Histogram& histogram(const std::string& name, const Labels& labels = {}) {
    return histograms.at(name)->Add(labels, bounds.at(name));
  }

  void create_families();
  void create_series(const Options& options);
  void refresh();
  std::vector<prometheus::MetricFamily> collect() const;

  prometheus::Registry registry;
  Families<Counter> counters;
  Families<Gauge> gauges;
  Families<Histogram> histograms;
  std::map<std::string, std::vector<double>, std::less<>> bounds;

  std::mutex mutex;
  std::map<std::string, std::vector<Counter*>> namespaces;  // The series of each namespace.
  std::function<kube::WorkQueue::Running()> running;
  std::string lease_name;
};

Metrics::State::State(const Options& options) : lease_name(options.lease_name) {
  create_families();
  create_series(options);
}

void Metrics::State::create_families() {
  for (const MetricSpec& spec : kMetrics) {
    const std::string name(spec.name), help(spec.help);
    switch (spec.type) {
      case MetricType::kCounter:
        counters[name] = &prometheus::BuildCounter().Name(name).Help(help).Register(registry);
        break;
      case MetricType::kGauge:
        gauges[name] = &prometheus::BuildGauge().Name(name).Help(help).Register(registry);
        break;
      case MetricType::kHistogram:
        histograms[name] = &prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
        bounds[name] = bounds_of(spec.buckets);
        break;
    }
  }
}

// Everything whose label values are known is there at zero from the start.
void Metrics::State::create_series(const Options& options) {
  for (const MetricSpec& spec : kMetrics) {
    const std::string name(spec.name);
    Labels labels;
    if (spec.labels == "name")
      labels = {{"name", spec.name == "leader_election_master_status" ? lease_name : kController}};
    if (spec.labels == "controller") labels = {{"controller", kController}};
    if (!spec.labels.empty() && labels.empty()) continue;
    if (spec.type == MetricType::kCounter) counter(name, labels);
    if (spec.type == MetricType::kGauge) gauge(name, labels);
    if (spec.type == MetricType::kHistogram) histogram(name, labels);
  }
  for (const BuildResult result : kBuildResults) {
    histogram("imagebuild_build_duration_seconds", {{"result", std::string(name_of(result))}});
  }
  for (const StageResult result : kStageResults) {
    histogram("imagebuild_stage_duration_seconds", {{"result", std::string(name_of(result))}});
  }
  for (const ReconcileResult result : kReconcileResults) {
    counter("controller_runtime_reconcile_total",
            {{"controller", kController}, {"result", std::string(name_of(result))}});
  }
  for (const lint::Rule& rule : lint::rules()) counter("imagebuild_warnings_total", {{"rule", std::string(rule.name)}});
  counter("imagebuild_warnings_total", {{"rule", kOther}});
  for (const char* result : {"hit", "miss"}) counter("imagebuild_cache_requests_total", {{"result", result}});
  for (const auto& [method, code] : std::initializer_list<std::pair<const char*, int>>{
           {"GET", 200}, {"POST", 201}, {"PUT", 200}, {"PATCH", 200}, {"DELETE", 200}}) {
    counter("rest_client_requests_total", request_labels(method, code));
  }
  gauge("imagebuild_build_info", {{"version", options.version}}).Set(1);
  gauge("controller_runtime_max_concurrent_reconciles", {{"controller", kController}}).Set(options.workers);
}

// What is read at a scrape.
void Metrics::State::refresh() {
  const kube::WorkQueue::Running now = running ? running() : kube::WorkQueue::Running{};
  gauge("workqueue_unfinished_work_seconds", {{"name", kController}}).Set(now.sum.count());
  gauge("workqueue_longest_running_processor_seconds", {{"name", kController}}).Set(now.longest.count());
  if (const std::optional<ProcessStats> stats = read_process_stats()) {
    Counter& cpu = counter("process_cpu_seconds_total");
    cpu.Increment(std::max(0.0, stats->cpu_seconds - cpu.Value()));
    gauge("process_resident_memory_bytes").Set(stats->resident_bytes);
    gauge("process_virtual_memory_bytes").Set(stats->virtual_bytes);
    gauge("process_open_fds").Set(stats->open_fds);
    gauge("process_max_fds").Set(stats->max_fds);
    gauge("process_start_time_seconds").Set(stats->start_seconds);
  }
}

// In the table's order. The registry leaves out a family without series; here its help and type are there all the same.
std::vector<prometheus::MetricFamily> Metrics::State::collect() const {
  std::vector<prometheus::MetricFamily> found = registry.Collect();
  std::vector<prometheus::MetricFamily> ordered;
  for (const MetricSpec& spec : kMetrics) {
    const auto family = std::ranges::find(found, spec.name, &prometheus::MetricFamily::name);
    if (family != found.end()) {
      ordered.push_back(std::move(*family));
    } else {
      ordered.push_back({std::string(spec.name), std::string(spec.help), prometheus::MetricType::Counter, {}});
    }
  }
  return ordered;
}

Metrics::Metrics(const Options& options) : state_(std::make_unique<State>(options)) {}
Metrics::~Metrics() = default;

std::string Metrics::text() {
  const std::lock_guard lock(state_->mutex);
  state_->refresh();
  return prometheus::TextSerializer().Serialize(state_->collect());
}

void Metrics::know_namespace(const std::string& ns) {
  const std::lock_guard lock(state_->mutex);
  const auto [place, is_new] = state_->namespaces.try_emplace(ns);
  if (!is_new) return;
  for (const Ending& ending : endings()) {
    place->second.push_back(&state_->counter(
        "imagebuild_builds_total",
        {{"namespace", ns}, {"result", std::string(name_of(ending.result))}, {"reason", std::string(ending.reason)}}));
  }
}

void Metrics::forget_namespace(const std::string& ns) {
  const std::lock_guard lock(state_->mutex);
  const auto place = state_->namespaces.find(ns);
  if (place == state_->namespaces.end()) return;
  for (Counter* series : place->second) state_->counters.at("imagebuild_builds_total")->Remove(series);
  state_->namespaces.erase(place);
}

void Metrics::build_finished(const std::string& ns, BuildResult result, std::string_view reason, Seconds duration) {
  know_namespace(ns);
  {
    const std::lock_guard lock(state_->mutex);
    Counter& series = state_->counter(
        "imagebuild_builds_total",
        {{"namespace", ns}, {"result", std::string(name_of(result))}, {"reason", known_reason(result, reason)}});
    series.Increment();
    std::vector<Counter*>& of_namespace = state_->namespaces[ns];
    if (std::ranges::find(of_namespace, &series) == of_namespace.end()) of_namespace.push_back(&series);
  }
  state_->histogram("imagebuild_build_duration_seconds", {{"result", std::string(name_of(result))}})
      .Observe(duration.count());
}

void Metrics::stage_finished(StageResult result, Seconds duration) {
  state_->histogram("imagebuild_stage_duration_seconds", {{"result", std::string(name_of(result))}})
      .Observe(duration.count());
}

void Metrics::pod_started(Seconds startup) {
  state_->histogram("imagebuild_stage_pod_startup_seconds").Observe(startup.count());
}

void Metrics::queued(Seconds waited) {
  state_->histogram("imagebuild_queue_seconds").Observe(waited.count());
}

void Metrics::cache(bool hit) {
  state_->counter("imagebuild_cache_requests_total", {{"result", hit ? "hit" : "miss"}}).Increment();
}

void Metrics::warning(std::string_view rule) {
  const bool known = lint::find_rule(rule) != nullptr;
  state_->counter("imagebuild_warnings_total", {{"rule", std::string(known ? rule : kOther)}}).Increment();
}

void Metrics::image(std::uint64_t bytes) {
  state_->histogram("imagebuild_image_size_bytes").Observe(static_cast<double>(bytes));
}

void Metrics::artifact_bytes(std::uint64_t bytes) {
  state_->counter("imagebuild_artifact_bytes_total").Increment(static_cast<double>(bytes));
}

void Metrics::builds_running(std::size_t builds) {
  state_->gauge("imagebuild_builds_running").Set(static_cast<double>(builds));
}

void Metrics::request(const std::string& method, int code) {
  state_->counter("rest_client_requests_total", request_labels(method, code)).Increment();
}

kube::WorkQueueMetrics Metrics::queue_hooks() {
  const Labels name = {{"name", kController}};
  Gauge& depth = state_->gauge("workqueue_depth", name);
  Counter& adds = state_->counter("workqueue_adds_total", name);
  Counter& retries = state_->counter("workqueue_retries_total", name);
  Histogram& waited = state_->histogram("workqueue_queue_duration_seconds", name);
  Histogram& worked = state_->histogram("workqueue_work_duration_seconds", name);
  return {.depth = [&depth](std::size_t keys) { depth.Set(static_cast<double>(keys)); },
          .added = [&adds] { adds.Increment(); },
          .retried = [&retries] { retries.Increment(); },
          .waited = [&waited](Seconds time) { waited.Observe(time.count()); },
          .worked = [&worked](Seconds time) { worked.Observe(time.count()); }};
}

void Metrics::watch_queue(std::function<kube::WorkQueue::Running()> running) {
  const std::lock_guard lock(state_->mutex);
  state_->running = std::move(running);
}

void Metrics::reconcile_started() {
  state_->gauge("controller_runtime_active_workers", {{"controller", kController}}).Increment();
}

void Metrics::reconciled(ReconcileResult result, Seconds duration) {
  const Labels controller = {{"controller", kController}};
  state_->gauge("controller_runtime_active_workers", controller).Decrement();
  state_->histogram("controller_runtime_reconcile_time_seconds", controller).Observe(duration.count());
  state_
      ->counter("controller_runtime_reconcile_total",
                {{"controller", kController}, {"result", std::string(name_of(result))}})
      .Increment();
  if (result == ReconcileResult::kError) {
    state_->counter("controller_runtime_reconcile_errors_total", controller).Increment();
  }
}

void Metrics::leader(bool is_leader) {
  state_->gauge("leader_election_master_status", {{"name", state_->lease_name}}).Set(is_leader ? 1 : 0);
}

}  // namespace imagebuild::op
