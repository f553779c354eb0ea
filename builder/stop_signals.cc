#include "builder/stop_signals.h"

#include <unistd.h>

#include "base/error.h"
#include "base/stop_signals.h"

namespace imagebuild::builder {

std::stop_token stop_on_signals() {
  static std::stop_source stop;
  block_stop_signals();
  watch_stop_signals([](int, bool is_first) {
    if (!is_first) ::_exit(kExitInfrastructure);
    stop.request_stop();
  });
  return stop.get_token();
}

}  // namespace imagebuild::builder
