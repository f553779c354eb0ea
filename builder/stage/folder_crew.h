// Several threads that walk a tree together: who goes into a folder hands some of those below it to idle others.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "base/result.h"

namespace imagebuild::builder {

// Tasks go from thread to thread only where somebody waits for one, so each worker goes depth first and few are open.
template <class Task>
class FolderCrew {
 public:
  // The worker's number is below `threads`; work on one number is never done by two threads at once.
  using Work = std::function<Status(unsigned worker, Task task)>;

  explicit FolderCrew(unsigned threads) : threads_(std::max(threads, 1U)) {}

  // Does `first` and all that is handed over meanwhile. After an error nothing new is begun; the first one is returned.
  Status run(Task first, const Work& work) {
    handed_over_.push_back(std::move(first));
    std::vector<std::jthread> others;
    for (unsigned worker = 1; worker < threads_; ++worker) {
      try {
        others.emplace_back([this, worker, &work] { this->work(worker, work); });
      } catch (const std::system_error&) {
        break;  // No more threads for us: those that are there do it all.
      }
    }
    this->work(0, work);
    others.clear();
    return std::move(status_);
  }

  // Takes `task` if somebody has nothing to do; otherwise the caller does it himself.
  bool hand_over(Task& task) {
    if (waiting_.load(std::memory_order_relaxed) == 0) return false;
    const std::lock_guard lock(mutex_);
    if (!status_.ok() || handed_over_.size() >= waiting_.load(std::memory_order_relaxed)) return false;
    handed_over_.push_back(std::move(task));
    changed_.notify_one();
    return true;
  }

 private:
  void work(unsigned worker, const Work& work) {
    while (std::optional<Task> task = next()) {
      Status done = work(worker, std::move(*task));
      const std::lock_guard lock(mutex_);
      --busy_;
      if (!done.ok() && status_.ok()) status_ = std::move(done);
      if (!status_.ok()) handed_over_.clear();
      if (busy_ == 0 && handed_over_.empty()) changed_.notify_all();
    }
  }

  // Nothing when everything is done.
  std::optional<Task> next() {
    std::unique_lock lock(mutex_);
    waiting_.fetch_add(1, std::memory_order_relaxed);
    changed_.wait(lock, [this] { return !handed_over_.empty() || busy_ == 0; });
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    if (handed_over_.empty()) return std::nullopt;
    std::optional<Task> task(std::move(handed_over_.front()));
    handed_over_.pop_front();
    ++busy_;
    return task;
  }

  const unsigned threads_;
  std::atomic<std::size_t> waiting_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> handed_over_;  // This and the rest: guarded by mutex_.
  unsigned busy_ = 0;             // Who does a task.
  Status status_ = imagebuild::ok();
};

}  // namespace imagebuild::builder
