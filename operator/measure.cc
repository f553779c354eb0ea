#include "operator/measure.h"

#include <algorithm>

#include "build/reconcile_report.h"

namespace imagebuild::op {

namespace {

using api::BuildPhase;
using api::WorkPhase;

Metrics::Seconds between(const std::optional<WallTime>& from, const std::optional<WallTime>& to) {
  if (!from || !to || *to < *from) return Metrics::Seconds(0);
  return *to - *from;
}

class Measurement {
 public:
  Measurement(const build::Observed& seen, const api::ImageBuildStatus& after, Metrics& metrics)
      : seen_(seen), before_(seen.build.status), after_(after), metrics_(metrics) {}

  void run() {
    const bool another = before_.build != after_.build;
    if (after_.start_time && (another || !before_.start_time)) metrics_.queued(waited());
    if (build::is_finished(after_) && (another || !build::is_finished(before_))) finished();
    for (const api::StageStatus& stage : after_.stages) {
      const auto known = std::ranges::find(before_.stages, stage.name, &api::StageStatus::name);
      const bool is_new = another || known == before_.stages.end();
      measure_stage(is_new ? nullptr : &*known, stage);
    }
  }

 private:
  // Since the ImageBuild was made, or, for a later build of it, since the operator first said so.
  Metrics::Seconds waited() const {
    const api::Condition* reconciling = api::find_condition(after_, api::kReconcilingCondition);
    const bool first = after_.history.empty() && after_.image.digest.empty();
    if (first) return between(seen_.build.created, after_.start_time);
    return between(reconciling == nullptr ? std::nullopt : reconciling->last_transition_time, after_.start_time);
  }

  void finished() {
    const api::Condition* ready = api::find_condition(after_, api::kReadyCondition);
    const BuildResult result = after_.phase == BuildPhase::kSucceeded   ? BuildResult::kSucceeded
                               : after_.phase == BuildPhase::kCancelled ? BuildResult::kCancelled
                                                                        : BuildResult::kFailed;
    metrics_.build_finished(seen_.build.ns, result, ready == nullptr ? "" : ready->reason,
                            between(after_.start_time, after_.completion_time));
    for (const api::WarningStatus& warning : after_.warnings) metrics_.warning(warning.rule);
    if (result == BuildResult::kSucceeded) metrics_.image(static_cast<std::uint64_t>(after_.image.size_bytes));
  }

  void measure_stage(const api::StageStatus* before, const api::StageStatus& after) {
    if (before == nullptr && api::uses_cache(seen_.build.spec.cache)) metrics_.cache(after.cached);
    const WorkPhase was = before == nullptr ? WorkPhase::kWaiting : before->work.phase;
    const api::WorkStatus& work = after.work;
    if (work.phase == was || work.pod.empty()) return;
    if (was == WorkPhase::kWaiting || was == WorkPhase::kPending) measure_start(work);
    const auto took = between(work.start_time, work.completion_time.value_or(seen_.now));
    if (work.phase == WorkPhase::kSucceeded) {
      metrics_.stage_finished(StageResult::kSucceeded, took);
      metrics_.artifact_bytes(static_cast<std::uint64_t>(after.export_bytes));
    }
    if (work.phase == WorkPhase::kFailed) metrics_.stage_finished(StageResult::kFailed, took);
    if (work.phase == WorkPhase::kCancelled) metrics_.stage_finished(StageResult::kCancelled, took);
  }

  // A builder may report before the kubelet has said that its container runs: then it started no later than now.
  void measure_start(const api::WorkStatus& work) {
    if (work.phase == WorkPhase::kPending || work.phase == WorkPhase::kCancelled) return;
    const auto pod = std::ranges::find(seen_.pods, work.pod, &build::Pod::name);
    if (pod != seen_.pods.end()) metrics_.pod_started(between(pod->created, pod->started.value_or(seen_.now)));
  }

  const build::Observed& seen_;
  const api::ImageBuildStatus& before_;
  const api::ImageBuildStatus& after_;
  Metrics& metrics_;
};

}  // namespace

void measure(const build::Observed& seen, const api::ImageBuildStatus& after, Metrics& metrics) {
  Measurement(seen, after, metrics).run();
}

}  // namespace imagebuild::op
