// Points in time as the API writes them: metav1.Time ("2006-01-02T15:04:05Z") and metav1.MicroTime.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace imagebuild::kube {

std::string time_text(WallTime time);        // To the second, UTC.
std::string micro_time_text(WallTime time);  // With six digits after the point: the API server refuses others.
// Either form, any number of digits, "Z" or an offset "+01:00".
std::optional<WallTime> parse_time(std::string_view text);

}  // namespace imagebuild::kube
