#include "operator/metrics.h"

#include <gmock/gmock.h>

#include <sstream>
#include <thread>
#include <vector>

#include "api/reasons.h"
#include "operator/metrics_table.h"
#include "operator/process_stats.h"

namespace imagebuild::op {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const Metrics::Options kOptions = {.version = "1.2.3", .workers = 4, .lease_name = "imagebuild-operator"};

// The value of a series ("name{label=\"value\"}") in a scrape; nothing when it is not there.
std::optional<double> value(Metrics& metrics, const std::string& series) {
  std::istringstream lines(metrics.text());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return std::nullopt;
}

std::string builds(const std::string& ns, const std::string& result, const std::string& reason) {
  return "imagebuild_builds_total{namespace=\"" + ns + "\",reason=\"" + reason + "\",result=\"" + result + "\"}";
}

TEST(Metrics, ShowsEveryMetricFromTheStart) {
  Metrics metrics(kOptions);
  const std::string text = metrics.text();
  for (const MetricSpec& spec : kMetrics) {
    const std::string name(spec.name);
    const char* type = spec.type == MetricType::kCounter ? "counter"
                       : spec.type == MetricType::kGauge ? "gauge"
                                                         : "histogram";
    EXPECT_THAT(text, HasSubstr("# HELP " + name + " " + std::string(spec.help) + "\n"));
    EXPECT_THAT(text, HasSubstr("# TYPE " + name + " " + type + "\n"));
    if (name != "imagebuild_builds_total") {
      EXPECT_THAT(text, HasSubstr("\n" + name)) << "no series";
    }
  }
}

TEST(Metrics, CountsUnderTheUsualNames) {
  Metrics metrics(kOptions);
  metrics.stage_finished(StageResult::kFailed, seconds(7000));
  metrics.pod_started(seconds(3));
  metrics.queued(seconds(1));
  metrics.cache(true);
  metrics.image(5 * 1024 * 1024);
  metrics.artifact_bytes(1000);
  metrics.artifact_bytes(24);
  for (const char* rule : {"StageNameCasing", "StageNameCasing", "", "NobodyKnowsIt"}) metrics.warning(rule);
  metrics.builds_running(3);
  metrics.request("GET", 200);
  metrics.request("PATCH", 409);
  metrics.request("POST", 0);
  metrics.request("BREW", 99);
  metrics.leader(true);
  metrics.reconcile_started();
  metrics.reconcile_started();
  metrics.reconciled(ReconcileResult::kError, seconds(2));
  const kube::WorkQueueMetrics hooks = metrics.queue_hooks();
  hooks.depth(5);
  hooks.added();
  hooks.retried();
  hooks.waited(seconds(2));
  hooks.worked(seconds(3));
  metrics.watch_queue([] { return kube::WorkQueue::Running{seconds(9), seconds(6)}; });
  const struct {
    const char* series;
    double value;
  } kRows[] = {
      {"imagebuild_stage_duration_seconds_bucket{result=\"failed\",le=\"3600\"}", 0},
      {"imagebuild_stage_duration_seconds_bucket{result=\"failed\",le=\"7200\"}", 1},
      {"imagebuild_stage_duration_seconds_count{result=\"succeeded\"}", 0},
      {"imagebuild_stage_pod_startup_seconds_sum", 3},
      {"imagebuild_queue_seconds_bucket{le=\"0.5\"}", 0},
      {"imagebuild_queue_seconds_bucket{le=\"1\"}", 1},
      {"imagebuild_cache_requests_total{result=\"hit\"}", 1},
      {"imagebuild_cache_requests_total{result=\"miss\"}", 0},
      {"imagebuild_warnings_total{rule=\"StageNameCasing\"}", 2},
      {"imagebuild_warnings_total{rule=\"MaintainerDeprecated\"}", 0},
      {"imagebuild_warnings_total{rule=\"Other\"}", 2},
      {"imagebuild_image_size_bytes_bucket{le=\"4194304\"}", 0},
      {"imagebuild_image_size_bytes_bucket{le=\"16777216\"}", 1},
      {"imagebuild_artifact_bytes_total", 1024},
      {"imagebuild_builds_running", 3},
      {"imagebuild_build_info{version=\"1.2.3\"}", 1},
      {"rest_client_requests_total{code=\"200\",method=\"GET\"}", 1},
      {"rest_client_requests_total{code=\"409\",method=\"PATCH\"}", 1},
      {"rest_client_requests_total{code=\"<error>\",method=\"POST\"}", 1},
      {"rest_client_requests_total{code=\"<error>\",method=\"Other\"}", 1},
      {"leader_election_master_status{name=\"imagebuild-operator\"}", 1},
      {"controller_runtime_active_workers{controller=\"imagebuild\"}", 1},
      {"controller_runtime_max_concurrent_reconciles{controller=\"imagebuild\"}", 4},
      {"controller_runtime_reconcile_errors_total{controller=\"imagebuild\"}", 1},
      {"controller_runtime_reconcile_total{controller=\"imagebuild\",result=\"error\"}", 1},
      {"controller_runtime_reconcile_total{controller=\"imagebuild\",result=\"requeue_after\"}", 0},
      {"controller_runtime_reconcile_time_seconds_sum{controller=\"imagebuild\"}", 2},
      {"workqueue_depth{name=\"imagebuild\"}", 5},
      {"workqueue_adds_total{name=\"imagebuild\"}", 1},
      {"workqueue_retries_total{name=\"imagebuild\"}", 1},
      {"workqueue_queue_duration_seconds_sum{name=\"imagebuild\"}", 2},
      {"workqueue_work_duration_seconds_sum{name=\"imagebuild\"}", 3},
      {"workqueue_unfinished_work_seconds{name=\"imagebuild\"}", 9},
      {"workqueue_longest_running_processor_seconds{name=\"imagebuild\"}", 6},
  };
  for (const auto& row : kRows) EXPECT_EQ(value(metrics, row.series), row.value) << row.series;
}

TEST(Metrics, StartsTheSeriesOfANamespaceAtZero) {
  Metrics metrics(kOptions);
  EXPECT_EQ(value(metrics, builds("team", "succeeded", "Succeeded")), std::nullopt);
  metrics.know_namespace("team");
  for (const api::reason::Reason& reason : api::reason::kTable) {
    if (reason.kind != api::reason::Kind::kFailure) continue;
    EXPECT_EQ(value(metrics, builds("team", "failed", std::string(reason.name))), 0) << reason.name;
  }
  EXPECT_EQ(value(metrics, builds("team", "succeeded", "Succeeded")), 0);
  EXPECT_EQ(value(metrics, builds("team", "cancelled", "Cancelled")), 0);
}

TEST(Metrics, CountsBuildsByNamespaceAndForgetsThem) {
  Metrics metrics(kOptions);
  metrics.build_finished("team", BuildResult::kFailed, api::reason::kStepFailed, seconds(90));
  metrics.build_finished("team", BuildResult::kFailed, "a reason that somebody made up", seconds(90));
  metrics.build_finished("other", BuildResult::kSucceeded, api::reason::kSucceeded, seconds(10));
  metrics.know_namespace("team");
  EXPECT_EQ(value(metrics, builds("team", "failed", "StepFailed")), 1);
  EXPECT_EQ(value(metrics, builds("team", "failed", "Other")), 1);
  EXPECT_EQ(value(metrics, builds("other", "succeeded", "Succeeded")), 1);
  EXPECT_EQ(value(metrics, "imagebuild_build_duration_seconds_count{result=\"failed\"}"), 2);

  metrics.forget_namespace("team");
  metrics.forget_namespace("never seen");
  EXPECT_THAT(metrics.text(), AllOf(Not(HasSubstr("\"team\"")), HasSubstr("\"other\"")));
  metrics.build_finished("team", BuildResult::kFailed, api::reason::kStepFailed, seconds(90));
  EXPECT_EQ(value(metrics, builds("team", "failed", "StepFailed")), 1);
}

TEST(Metrics, ReadsTheProcess) {
  const auto stats = read_process_stats();
  ASSERT_TRUE(stats.has_value());
  EXPECT_GT(stats->resident_bytes, 1e6);
  EXPECT_GT(stats->virtual_bytes, stats->resident_bytes);
  EXPECT_GE(stats->open_fds, 3);
  EXPECT_GT(stats->max_fds, stats->open_fds);
  EXPECT_GT(stats->start_seconds, 1.5e9);
  EXPECT_GE(stats->cpu_seconds, 0);
  Metrics metrics(kOptions);
  EXPECT_GT(value(metrics, "process_resident_memory_bytes"), 1e6);
  const double first = value(metrics, "process_cpu_seconds_total").value_or(-1);
  EXPECT_GE(first, 0);
  EXPECT_GE(value(metrics, "process_cpu_seconds_total"), first);
}

TEST(Metrics, MayBeUsedByManyThreads) {
  Metrics metrics(kOptions);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&metrics, i] {
        const std::string ns = "team-" + std::to_string(i % 2);
        for (int round = 0; round < 50; ++round) {
          metrics.build_finished(ns, BuildResult::kSucceeded, api::reason::kSucceeded, seconds(1));
          metrics.request("GET", 200);
          if (round % 10 == 0) metrics.text();
          if (i == 3 && round == 25) metrics.forget_namespace("gone");
        }
      });
    }
  }
  EXPECT_EQ(value(metrics, builds("team-0", "succeeded", "Succeeded")), 100);
  EXPECT_EQ(value(metrics, "rest_client_requests_total{code=\"200\",method=\"GET\"}"), 200);
}

}  // namespace
}  // namespace imagebuild::op
