// SIGTERM (how Kubernetes ends a pod) and SIGINT become a stop token, so that the program can say how it ended.
#pragma once

#include <stop_token>

namespace imagebuild::builder {

// Blocks both signals in this thread and those that it starts later (call it before there are others), and waits for
// them on a thread of its own until the process ends. The first requests a stop, the second ends the process at once.
std::stop_token stop_on_signals();

}  // namespace imagebuild::builder
