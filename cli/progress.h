// What happens during a build, and those who show it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/clock.h"
#include "builder/publish/publish.h"

namespace imagebuild::cli {

// The plan is solved. `plan` outlives the view.
struct PlanSolved {
  const api::Plan* plan = nullptr;
};

// Work beside the stages' steps: solving, unpacking a base, publishing.
struct JobStarted {
  int job = 0;
  std::string name;
};
struct JobProgress {
  int job = 0;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};
struct JobDone {
  int job = 0;
  bool cached = false;  // There was nothing to do.
};
struct JobFailed {
  int job = 0;
  std::string message;  // Empty: given up because something else failed.
};

struct StageStarted {
  int stage = 0;
  std::string changed;  // What is different since the last build ("src/main.c changed"); empty when that is not known.
};
struct StageProgress {
  int stage = 0;
  api::StageEvent event;
};
// After the stage's last StageProgress. A step that is still open failed, or was given up.
struct StageEnded {
  enum class Outcome { kDone, kFailed, kStopped };
  int stage = 0;
  Outcome outcome = Outcome::kDone;
};

// The stage was not run: its result is that of an earlier build. Instead of the three above.
struct StageCached {
  int stage = 0;
};

struct Warning {
  std::string text;
};

// How the build ended, for views that programs read: people get it as text after the view's end.
struct ImageBuilt {
  const builder::Published* image = nullptr;
  std::vector<std::string> names;
  std::uint64_t exported_bytes = 0;
};
struct BuildFailed {
  Error error;
  std::optional<api::Failure> failure;  // Of a step, if it was one that failed.
};

using Event = std::variant<PlanSolved, JobStarted, JobProgress, JobDone, JobFailed, StageStarted, StageProgress,
                           StageEnded, StageCached, Warning, ImageBuilt, BuildFailed>;

// Time since the build began.
using Elapsed = std::chrono::milliseconds;

// Shows events to a person or a program. Called by one thread at a time.
class View {
 public:
  virtual ~View() = default;
  virtual void show(const Event& event, Elapsed now) = 0;
  // For views that move with time: called every kTick.
  virtual void tick(Elapsed /*now*/) {}
  // The last call: leaves the terminal as it was found.
  virtual void finish(Elapsed /*now*/) {}
};

// Where a view writes: complete pieces of text, each one write.
using TextSink = std::function<void(std::string_view)>;
// Standard error.
TextSink standard_error();

// Brings the events of all threads to one view, with the time.
class Progress {
 public:
  static constexpr std::chrono::milliseconds kTick{100};

  // With `ticks` a thread calls View::tick(); without, the view moves only with events.
  Progress(std::unique_ptr<View> view, Clock clock, bool ticks);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // From any thread. Ignored after finish().
  void show(const Event& event);
  // A number for a new job, whose start is shown.
  int start_job(std::string name);
  // Ends the view; whoever prints to the same terminal does it after this.
  void finish();

 private:
  Elapsed now() const;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::unique_ptr<View> view_;
  Clock clock_;
  WallTime start_;
  int next_job_ = 0;
  bool finished_ = false;
  std::jthread ticker_;
};

}  // namespace imagebuild::cli
