// Time comes in through these: production code passes system_clock_now, a test passes its own.
#pragma once

#include <chrono>
#include <functional>

namespace imagebuild {

using WallTime = std::chrono::system_clock::time_point;

// What time it is now.
using Clock = std::function<WallTime()>;
// Returns after the duration, or earlier if whoever waits was told to stop.
using Sleeper = std::function<void(std::chrono::milliseconds)>;

inline WallTime system_clock_now() {
  return std::chrono::system_clock::now();
}

}  // namespace imagebuild
