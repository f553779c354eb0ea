// Points in time as metav1.Time writes them: UTC, to the second.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace imagebuild::api {

std::string time_text(WallTime time);                       // "2024-05-01T12:00:00Z"
std::optional<WallTime> parse_time(std::string_view text);  // Exactly that form.
std::string duration_text(std::chrono::seconds duration);   // "1h2m3s", "0s"; negative ones are "0s".

}  // namespace imagebuild::api
