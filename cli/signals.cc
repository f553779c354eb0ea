#include "cli/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace imagebuild::cli {

namespace {

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, signal);
  return set;
}

// Wakes the waiting thread when there is nothing to wait for any more.
constexpr int kWake = SIGUSR1;

}  // namespace

void block_stop_signals() {
  sigset_t set = stop_signals();
  ::sigaddset(&set, kWake);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalStop::SignalStop(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  thread_ = std::thread([this] { wait(); });
}

SignalStop::~SignalStop() {
  ending_ = true;
  ::pthread_kill(thread_.native_handle(), kWake);
  thread_.join();
}

void SignalStop::wait() {
  sigset_t set = stop_signals();
  ::sigaddset(&set, kWake);
  while (true) {
    int signal = 0;
    if (::sigwait(&set, &signal) != 0) continue;
    if (signal == kWake) {
      if (ending_) return;
      continue;
    }
    if (received_ != 0) end_by_signal(signal);
    received_ = signal;
    on_first_();
    stop_.request_stop();
  }
}

void end_by_signal(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
  ::_exit(128 + signal);
}

}  // namespace imagebuild::cli
