#include "kube/workqueue.h"

#include <algorithm>

namespace imagebuild::kube {

void WorkQueue::enqueue(const ObjectKey& key) {
  if (shutting_down_ || !dirty_.try_emplace(key, options_.now()).second) return;
  tell(options_.metrics.added);
  if (processing_.contains(key)) return;
  queue_.push_back(key);
  tell(options_.metrics.depth, queue_.size());
}

void WorkQueue::add(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  enqueue(key);
  changed_.notify_one();
}

void WorkQueue::add_after(const ObjectKey& key, std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  if (shutting_down_) return;
  if (delay.count() <= 0) {
    enqueue(key);
    changed_.notify_one();
    return;
  }
  const SteadyTime due = options_.now() + delay;
  const auto [known, fresh] = delayed_until_.try_emplace(key, due);
  if (!fresh) {
    if (known->second <= due) return;
    const auto [first, last] = delays_.equal_range(known->second);
    delays_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == key; }));
    known->second = due;
  }
  delays_.emplace(due, key);
  changed_.notify_one();
}

void WorkQueue::add_rate_limited(const ObjectKey& key) {
  std::chrono::milliseconds delay;
  {
    const std::lock_guard lock(mutex_);
    if (shutting_down_) return;
    const int failures = failures_[key]++;
    delay = options_.first_delay;
    for (int i = 0; i < failures && delay < options_.longest_delay; ++i) delay *= 2;
    delay = std::min(delay, options_.longest_delay);
    tell(options_.metrics.retried);
  }
  add_after(key, delay);
}

void WorkQueue::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

int WorkQueue::failures(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::promote_due() {
  const SteadyTime now = options_.now();
  while (!delays_.empty() && delays_.begin()->first <= now) {
    const ObjectKey key = delays_.begin()->second;
    delays_.erase(delays_.begin());
    delayed_until_.erase(key);
    enqueue(key);
  }
}

std::optional<ObjectKey> WorkQueue::pop() {
  promote_due();
  if (queue_.empty()) return {};
  ObjectKey key = std::move(queue_.front());
  queue_.pop_front();
  const SteadyTime now = options_.now();
  const auto added = dirty_.find(key);
  tell(options_.metrics.waited, std::chrono::duration<double>(now - added->second));
  dirty_.erase(added);
  processing_.emplace(key, now);
  tell(options_.metrics.depth, queue_.size());
  return key;
}

std::optional<ObjectKey> WorkQueue::try_take() {
  const std::lock_guard lock(mutex_);
  return pop();
}

std::optional<ObjectKey> WorkQueue::take(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (auto key = pop()) {
      if (!queue_.empty() || !delays_.empty()) changed_.notify_one();
      return key;
    }
    // A key that is dirty while it is worked on comes back at its done(): then this worker may get it.
    if (shutting_down_ && dirty_.empty()) return {};
    const auto something = [&] {
      return !queue_.empty() || (shutting_down_ && dirty_.empty()) ||
             (!delays_.empty() && delays_.begin()->first <= options_.now());
    };
    if (delays_.empty()) {
      // Also ends when a first delayed key comes: the wait must know its time.
      changed_.wait(lock, stop, [&] { return something() || !delays_.empty(); });
    } else {
      const SteadyTime earliest = delays_.begin()->first;
      changed_.wait_for(lock, stop, earliest - options_.now(),
                        [&] { return something() || delays_.empty() || delays_.begin()->first != earliest; });
    }
  }
  changed_.notify_one();  // It may have been woken for a key.
  return {};
}

void WorkQueue::done(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto began = processing_.find(key);
  if (began == processing_.end()) return;
  tell(options_.metrics.worked, std::chrono::duration<double>(options_.now() - began->second));
  processing_.erase(began);
  if (dirty_.contains(key)) {
    queue_.push_back(key);
    tell(options_.metrics.depth, queue_.size());
    changed_.notify_one();
  }
  if (!shutting_down_) return;
  changed_.notify_all();
  drained_.notify_all();
}

void WorkQueue::shut_down() {
  const std::lock_guard lock(mutex_);
  shutting_down_ = true;
  delays_.clear();
  delayed_until_.clear();
  changed_.notify_all();
}

void WorkQueue::drain() {
  shut_down();
  std::unique_lock lock(mutex_);
  drained_.wait(lock, [&] { return processing_.empty() && dirty_.empty(); });
}

bool WorkQueue::shutting_down() const {
  const std::lock_guard lock(mutex_);
  return shutting_down_;
}

std::size_t WorkQueue::size() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::size_t WorkQueue::delayed() const {
  const std::lock_guard lock(mutex_);
  return delays_.size();
}

std::optional<SteadyTime> WorkQueue::next_due() const {
  const std::lock_guard lock(mutex_);
  if (delays_.empty()) return {};
  return delays_.begin()->first;
}

void WorkQueue::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

WorkQueue::Running WorkQueue::running() const {
  const std::lock_guard lock(mutex_);
  Running running;
  const SteadyTime now = options_.now();
  for (const auto& [key, began] : processing_) {
    const std::chrono::duration<double> age = now - began;
    running.sum += age;
    running.longest = std::max(running.longest, age);
  }
  return running;
}

}  // namespace imagebuild::kube
