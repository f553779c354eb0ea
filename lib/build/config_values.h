// The small notations inside instructions: ports, signals, octal modes, and lists as the history shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::build {

// One argument of EXPOSE: "80", "80/udp", "8000-8002/tcp" → "80/tcp" … (Docker's form, one entry a port).
// kInvalidInput says what is wrong with it.
Result<std::vector<std::string>> parse_ports(std::string_view text);

// A signal that STOPSIGNAL takes: 1 to 64, or a name with or without SIG, SIGRTMIN+n and SIGRTMAX-n included.
bool is_signal(std::string_view text);

// "755" or "0755" up to 07777; nothing for anything else.
std::optional<std::uint32_t> parse_octal_mode(std::string_view text);

// ["nginx" "-g" "daemon off;"], as Docker's histories show a command.
std::string quoted_list(const std::vector<std::string>& words);

}  // namespace imagebuild::build
