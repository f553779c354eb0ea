// Points in time as the Kubernetes API writes them (metav1.Time, metav1.MicroTime), and durations as people read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace imagebuild {

std::string time_text(WallTime time);        // "2024-05-01T12:00:00Z": to the second, UTC.
std::string micro_time_text(WallTime time);  // With six digits after the point: the API server refuses others.
// Either form, any number of digits, "Z" or an offset "+01:00".
std::optional<WallTime> parse_time(std::string_view text);

std::string duration_text(std::chrono::seconds duration);  // "1h2m3s", "0s"; negative ones are "0s".

}  // namespace imagebuild
