#include "base/stop_signals.h"

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace imagebuild {

namespace {

sigset_t stop_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void block_stop_signals() {
  const sigset_t signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void watch_stop_signals(std::function<void(int signal, bool is_first)> on_signal) {
  std::thread([on_signal = std::move(on_signal)] {
    const sigset_t signals = stop_signals();
    bool is_first = true;
    while (true) {
      int signal = 0;
      if (::sigwait(&signals, &signal) != 0) continue;
      on_signal(signal, is_first);
      is_first = false;
    }
  }).detach();
}

}  // namespace imagebuild
