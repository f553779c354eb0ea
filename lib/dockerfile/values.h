// Values of arguments that have a form of their own. The parser checks those without variables; who expands the others
// checks them after that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::dockerfile {

// One argument of EXPOSE: "80", "53/udp", "8000-8003/tcp" → the ports as an image config names them ("80/tcp"). As in
// Docker, a host part before the port ("8080:80", "127.0.0.1::80") is allowed and ignored.
Result<std::vector<std::string>> parse_ports(std::string_view text);

// STOPSIGNAL: a number from 1, or a signal's name in any case with or without SIG ("SIGTERM", "rtmin+3").
Status check_signal(std::string_view text);

// --chmod: octal up to 7777 ("755", "0644") or symbolic ("u+x,go-w").
Status check_mode(std::string_view text);

}  // namespace imagebuild::dockerfile
