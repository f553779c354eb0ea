// How a container beside a stage's knows that the stage is over, however that came.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>

#include "base/result.h"

namespace imagebuild::builder {

// Waits until the stage whose folder this is has begun (the folder is not empty any more, or is locked) and nobody
// locks the folder any more: imagebuild-stage holds an exclusive flock(2) on it for as long as it lives, so that also
// a stage that was killed ends the wait. kCancelled when `stop` is requested. `sleep` is for tests; empty: the real
// one.
Status wait_for_stage_end(const std::filesystem::path& stage_folder, const std::stop_token& stop,
                          const std::function<void(std::chrono::milliseconds)>& sleep = {});

}  // namespace imagebuild::builder
