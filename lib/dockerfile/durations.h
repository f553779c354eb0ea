// Go's duration syntax, which HEALTHCHECK uses: "1h30m", "1.5s", "500ms".
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace imagebuild::dockerfile {

// time.ParseDuration: an optional sign, then numbers with the units ns us µs ms s m h; "0" alone is fine. Nothing when
// it is not one, or too large for 64 bits of nanoseconds.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace imagebuild::dockerfile
