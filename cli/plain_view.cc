#include "cli/plain_view.h"

#include <array>
#include <cstdio>

#include "base/overloaded.h"
#include "cli/step_label.h"

namespace imagebuild::cli {

namespace {

// The time since the step began, as BuildKit puts it before each line: "0.412 ".
std::string stamp(Elapsed time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f ", static_cast<double>(time.count()) / 1000.0);
  return text.data();
}

}  // namespace

void PlainView::say(const Work& work, const std::string& text) {
  std::string line = last_ != 0 && last_ != work.number ? "\n" : "";
  last_ = work.number;
  out_(line + "#" + std::to_string(work.number) + " " + text + "\n");
}

void PlainView::begin(Work& work, const std::string& label, Elapsed now) {
  work = Work{};
  work.number = ++numbers_;
  work.started = now;
  say(work, printable(label));
}

void PlainView::on_output(Work& work, const api::StepOutput& output, Elapsed now) {
  work.lines[output.stream == 2 ? 1 : 0].add(
      output.data, [&](std::string_view line) { say(work, stamp(now - work.started) + printable(line, true)); });
}

void PlainView::end_output(Work& work, Elapsed now) {
  for (LineAssembler& lines : work.lines) {
    lines.end([&](std::string_view line) { say(work, stamp(now - work.started) + printable(line, true)); });
  }
}

void PlainView::on_step(int stage, const api::StageEvent& event, Elapsed now) {
  if (plan_ == nullptr) return;
  Stage& state = stages_[stage];
  const auto is_quiet = [&](int step) {
    return !is_shown(plan_->stages[static_cast<std::size_t>(stage)].steps[static_cast<std::size_t>(step)]);
  };
  std::visit(Overloaded{[&](const api::StepStarted& started) {
                          if (is_quiet(started.step)) return;
                          state.step = started.step;
                          begin(state.work, step_label(*plan_, stage, started.step), now);
                        },
                        [&](const api::StepOutput& output) {
                          if (state.step == output.step) on_output(state.work, output, now);
                        },
                        [&](const api::StepDone& done) {
                          if (state.step != done.step) return;
                          end_output(state.work, now);
                          say(state.work, done.cached ? "CACHED" : "DONE " + seconds_text(now - state.work.started));
                          state.step = -1;
                        },
                        [](const api::StageDone&) {}},
             event);
}

void PlainView::on_cached(int stage, Elapsed now) {
  const std::vector<api::Step>& steps = plan_->stages[static_cast<std::size_t>(stage)].steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!is_shown(steps[i])) continue;
    Work work;
    begin(work, step_label(*plan_, stage, static_cast<int>(i)), now);
    say(work, "CACHED");
  }
}

void PlainView::on_bytes(const JobProgress& progress) {
  Work& work = jobs_[progress.job];
  if (progress.total_bytes == 0) return;
  const int tenth = static_cast<int>(progress.done_bytes * 10 / progress.total_bytes);
  constexpr std::uint64_t kWorthSaying = 10'000'000;
  if (tenth <= work.last_tenth || progress.total_bytes < kWorthSaying) return;
  work.last_tenth = tenth;
  say(work, bytes_text(progress.done_bytes) + " / " + bytes_text(progress.total_bytes));
}

void PlainView::show(const Event& event, Elapsed now) {
  std::visit(Overloaded{[&](const PlanSolved& solved) { plan_ = solved.plan; },
                        [&](const JobStarted& job) { begin(jobs_[job.job], job.name, now); },
                        [&](const JobProgress& progress) { on_bytes(progress); },
                        [&](const JobDone& job) {
                          say(jobs_[job.job],
                              job.cached ? "CACHED" : "DONE " + seconds_text(now - jobs_[job.job].started));
                        },
                        [&](const JobFailed& job) {
                          say(jobs_[job.job], job.message.empty() ? "CANCELED" : "ERROR: " + printable(job.message));
                        },
                        [&](const StageStarted& started) {
                          stages_[started.stage];
                          if (started.changed.empty()) return;
                          Work work;
                          begin(work, changed_label(*plan_, started.stage, started.changed), now);
                        },
                        [&](const StageProgress& progress) { on_step(progress.stage, progress.event, now); },
                        [&](const StageEnded& ended) {
                          Stage& state = stages_[ended.stage];
                          if (state.step < 0) return;
                          end_output(state.work, now);
                          say(state.work, (ended.outcome == StageEnded::Outcome::kFailed ? "ERROR " : "CANCELED ") +
                                              seconds_text(now - state.work.started));
                          state.step = -1;
                        },
                        [&](const StageCached& cached) { on_cached(cached.stage, now); },
                        [&](const Warning& warning) {
                          out_((last_ != 0 ? "\nWARNING: " : "WARNING: ") + printable(warning.text) + "\n");
                          last_ = 0;
                        },
                        [](const ImageBuilt&) {}, [](const BuildFailed&) {}},
             event);
}

void PlainView::finish(Elapsed /*now*/) {
  if (last_ != 0) out_("\n");
}

}  // namespace imagebuild::cli
