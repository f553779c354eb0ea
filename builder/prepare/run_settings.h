// --add-host, --ulimit and --shm-size: what holds for every RUN, in the words of `docker build`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/plan.h"
#include "base/result.h"

namespace imagebuild::builder {

// "name:address" or "name=address"; an address may be in brackets. Docker's "host-gateway" is kUnsupported.
Result<api::HostAlias> parse_host(std::string_view text);

// "nofile=1024" or "nofile=1024:2048", soft before hard; -1 is unlimited.
Result<api::Ulimit> parse_ulimit(std::string_view text);

// "128m", "1g", "64MiB", "1.5gb", "67108864": units are powers of 1024 in every spelling, as Docker has it. Positive.
Result<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace imagebuild::builder
