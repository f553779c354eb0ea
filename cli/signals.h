// Ctrl-C and SIGTERM become a stop token, so that everything is cleaned up before the process ends.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>
#include <thread>

namespace imagebuild::cli {

// Blocks SIGINT, SIGTERM and SIGHUP in this thread and those that it starts later: call it before there are others.
void block_stop_signals();

class SignalStop {
 public:
  // Waits for the blocked signals. The first calls `on_first` and requests a stop; the second ends the process at once.
  explicit SignalStop(std::function<void()> on_first);
  ~SignalStop();
  SignalStop(const SignalStop&) = delete;
  SignalStop& operator=(const SignalStop&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  // The signal that came first; 0: none.
  int received() const { return received_; }

 private:
  void wait();
  std::function<void()> on_first_;
  std::stop_source stop_;
  std::atomic<int> received_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

// Ends the process by the signal itself: its parent sees that it was stopped, and by what.
[[noreturn]] void end_by_signal(int signal);

}  // namespace imagebuild::cli
