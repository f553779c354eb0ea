// Values of arguments that have a form of their own. The parser checks those without variables; who expands the others
// checks them after that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::dockerfile {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  std::string protocol;  // tcp, udp or sctp.
};

// One argument of EXPOSE: "80", "53/udp", "8000-8003/tcp". As in Docker, a host part before the port ("8080:80",
// "127.0.0.1::80") is allowed and ignored.
Result<PortRange> parse_port_range(std::string_view text);

// Every port of the range as an image config names it: "80/tcp".
std::vector<std::string> ports_of(const PortRange& range);

// STOPSIGNAL: a number from 1, or a signal's name in any case with or without SIG ("SIGTERM", "rtmin+3").
Status check_signal(std::string_view text);

// --chmod: octal up to 7777 ("755", "0644") or symbolic ("u+x,go-w"), as base/mode_change.h reads it.
Status check_mode(std::string_view text);

}  // namespace imagebuild::dockerfile
