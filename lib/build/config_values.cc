#include "build/config_values.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace imagebuild::build {

namespace {

std::optional<unsigned> parse_number(std::string_view text, unsigned max, int base = 10) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

constexpr unsigned kMaxPort = 65535;
constexpr unsigned kMaxSignal = 64;
constexpr unsigned kRealTimeSignals = 15;  // SIGRTMIN+15 is the last that Docker names.

constexpr std::array kSignals = {
    "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",   "ILL",  "INT",    "IO",    "IOT",
    "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STOP",  "SYS",  "STKFLT", "TERM",  "TRAP",
    "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",   "RTMIN", "RTMAX",
};

}  // namespace

Result<std::vector<std::string>> parse_ports(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidInput, "'" + std::string(text) + "' is no port to expose: " + why};
  };
  const std::size_t slash = text.find('/');
  const std::string_view numbers = text.substr(0, slash);
  std::string protocol = slash == std::string_view::npos ? "tcp" : std::string(text.substr(slash + 1));
  std::ranges::transform(protocol, protocol.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
    return wrong("the protocol must be tcp, udp or sctp");
  if (numbers.find(':') != std::string_view::npos) {
    return wrong("an image cannot choose the host's port; write only the container's");
  }
  const std::size_t dash = numbers.find('-');
  const std::optional<unsigned> first = parse_number(numbers.substr(0, dash), kMaxPort);
  const std::optional<unsigned> last =
      dash == std::string_view::npos ? first : parse_number(numbers.substr(dash + 1), kMaxPort);
  if (!first || !last) return wrong("a port is a number from 0 to 65535");
  if (*last < *first) return wrong("the range ends before it begins");
  std::vector<std::string> ports;
  for (unsigned port = *first; port <= *last; ++port) ports.push_back(std::to_string(port) + "/" + protocol);
  return ports;
}

bool is_signal(std::string_view text) {
  if (const std::optional<unsigned> number = parse_number(text, kMaxSignal)) return *number > 0;
  std::string name(text);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const std::string_view real_time : {"RTMIN+", "RTMAX-"}) {
    if (!name.starts_with(real_time)) continue;
    const std::optional<unsigned> offset =
        parse_number(std::string_view(name).substr(real_time.size()), kRealTimeSignals);
    return offset && *offset > 0;
  }
  return std::ranges::find(kSignals, name) != kSignals.end();
}

std::optional<std::uint32_t> parse_octal_mode(std::string_view text) {
  return parse_number(text, 07777, 8);
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string result = "[";
  for (const std::string& word : words) {
    if (result.size() > 1) result += ' ';
    result += '"';
    for (const char c : word) {
      if (c == '"' || c == '\\') result += '\\';
      if (c == '\n') {
        result += "\\n";
      } else if (c == '\t') {
        result += "\\t";
      } else {
        result += c;
      }
    }
    result += '"';
  }
  return result + "]";
}

}  // namespace imagebuild::build
