#include "builder/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"

namespace imagebuild::builder {

std::stop_token stop_on_signals() {
  static std::stop_source stop;
  static sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  std::thread([] {
    int signal = 0;
    if (::sigwait(&signals, &signal) == 0) stop.request_stop();
    if (::sigwait(&signals, &signal) == 0) ::_exit(kExitInfrastructure);
  }).detach();
  return stop.get_token();
}

}  // namespace imagebuild::builder
