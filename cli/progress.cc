#include "cli/progress.h"

#include <unistd.h>

#include <cerrno>

namespace imagebuild::cli {

TextSink standard_error() {
  return [](std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;  // Nobody reads any more; the build itself goes on.
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  };
}

Progress::Progress(std::unique_ptr<View> view, Clock clock, bool ticks)
    : view_(std::move(view)), clock_(std::move(clock)), start_(clock_()) {
  if (!ticks) return;
  ticker_ = std::jthread([this](const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      woken_.wait_for(lock, stop, kTick, [] { return false; });
      if (!finished_) view_->tick(now());
    }
  });
}

Progress::~Progress() {
  finish();
}

Elapsed Progress::now() const {
  return std::chrono::duration_cast<Elapsed>(clock_() - start_);
}

void Progress::show(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (!finished_) view_->show(event, now());
}

int Progress::start_job(std::string name) {
  const std::lock_guard lock(mutex_);
  const int job = next_job_++;
  if (!finished_) view_->show(JobStarted{job, std::move(name)}, now());
  return job;
}

void Progress::finish() {
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    finished_ = true;
    view_->finish(now());
  }
  if (ticker_.joinable()) {
    ticker_.request_stop();
    ticker_.join();
  }
}

}  // namespace imagebuild::cli
