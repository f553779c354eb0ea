// SIGTERM (how Kubernetes ends a pod) and SIGINT, told to a thread instead of ending the process.
#pragma once

#include <functional>

namespace imagebuild {

// Blocks both signals in this thread and those that it starts later: call it before there are others. Writing to a
// pipe that nobody reads is then an error (EPIPE) and no signal either.
void block_stop_signals();

// Waits for the blocked signals on a thread of its own until the process ends, and calls `on_signal` there for each:
// with the signal's number, and whether it is the first.
void watch_stop_signals(std::function<void(int signal, bool is_first)> on_signal);

}  // namespace imagebuild
