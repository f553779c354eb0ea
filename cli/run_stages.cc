#include "cli/run_stages.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "build/schedule.h"

namespace imagebuild::cli {

namespace {

using build::StageState;

class Scheduler {
 public:
  Scheduler(const api::Plan& plan, const RunStage& run_stage)
      : plan_(plan), run_stage_(run_stage), states_(plan.stages.size(), StageState::kWaiting) {
    outcome_.reports.resize(plan.stages.size());
  }

  Result<StagesOutcome> run(std::size_t at_once, const std::stop_token& stop) {
    const std::stop_callback forward(stop, [this] {
      stop_all_.request_stop();
      changed_.notify_all();
    });
    {
      std::unique_lock lock(mutex_);
      while (!is_over()) {
        start_ready(at_once);
        if (running() == 0) break;
        changed_.wait(lock, [this] { return news_; });
        news_ = false;
      }
    }
    threads_.clear();
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (error_) return *error_;
    return std::move(outcome_);
  }

 private:
  std::size_t running() const { return static_cast<std::size_t>(std::ranges::count(states_, StageState::kRunning)); }
  bool is_over() const { return running() == 0 && std::ranges::count(states_, StageState::kWaiting) == 0; }

  void start_ready(std::size_t at_once) {
    if (stop_all_.stop_requested()) return;
    for (const int stage : build::ready_stages(plan_, states_)) {
      if (running() >= at_once) return;
      states_[static_cast<std::size_t>(stage)] = StageState::kRunning;
      threads_.emplace_back([this, stage] { end_stage(stage, run_stage_(stage, stop_all_.get_token())); });
    }
  }

  void end_stage(int stage, Result<api::StageReport> result) {
    const std::lock_guard lock(mutex_);
    const auto index = static_cast<std::size_t>(stage);
    const bool is_first = !error_ && !outcome_.failure && !stop_all_.stop_requested();
    const bool failed = !result.ok() || result->failure.has_value();
    states_[index] = failed ? StageState::kFailed : StageState::kDone;
    if (failed && is_first) {
      if (result.ok()) {
        outcome_.failure = result->failure;
      } else {
        error_ = result.error().in("stage '" + plan_.stages[index].name + "'");
      }
      stop_all_.request_stop();
    }
    if (result.ok()) outcome_.reports[index] = std::move(result).value();
    news_ = true;
    changed_.notify_all();
  }

  const api::Plan& plan_;
  const RunStage& run_stage_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;
  std::vector<StageState> states_;
  StagesOutcome outcome_;
  std::optional<Error> error_;
  std::stop_source stop_all_;
  std::vector<std::jthread> threads_;
};

}  // namespace

Result<StagesOutcome> run_stages(const api::Plan& plan, unsigned at_once, const RunStage& run_stage,
                                 const std::stop_token& stop) {
  const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
  return Scheduler(plan, run_stage).run(at_once == 0 ? cpus : at_once, stop);
}

}  // namespace imagebuild::cli
