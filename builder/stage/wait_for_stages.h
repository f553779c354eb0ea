// Waits for stages that other pods run, by what they leave on the volume that all of them share.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <vector>

#include "base/result.h"

namespace imagebuild::builder {

// Until the report of each of these stages is there, which is when all of the stage is: whoever makes it writes it
// last, under its name at once. One that tells of a failure does not count, as the stage may be tried again; whoever
// started this process ends it otherwise. `pause` is called between two looks; empty: some milliseconds. kCancelled
// when stopped.
Status wait_for_stages(const std::filesystem::path& volume, const std::vector<int>& stages, const std::stop_token& stop,
                       const std::function<void(const std::stop_token&)>& pause = {});

}  // namespace imagebuild::builder
