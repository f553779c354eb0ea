#include "dockerfile/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/mode_change.h"
#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

template <class Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

constexpr std::array<std::string_view, 36> kSignals = {
    "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",    "ILL",  "INT",  "IO",    "IOT",
    "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STKFLT", "STOP", "SYS",  "TERM",  "TRAP",
    "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ", "RTMIN", "RTMAX"};

bool is_real_time(std::string_view name) {
  for (const auto& [prefix, last] : {std::pair<std::string_view, int>{"RTMIN+", 15}, {"RTMAX-", 14}}) {
    if (name.substr(0, prefix.size()) != prefix) continue;
    const auto offset = number<int>(name.substr(prefix.size()));
    return offset && *offset >= 1 && *offset <= last;
  }
  return false;
}

}  // namespace

Result<PortRange> parse_port_range(std::string_view text) {
  const std::string shown(text);
  std::string protocol = "tcp";
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < text.size()) protocol = lower(text.substr(slash + 1));
    text = text.substr(0, slash);
  }
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
    return invalid("'" + shown + "' is no port: the protocol has to be tcp, udp or sctp");
  }
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) text = text.substr(colon + 1);
  const std::size_t dash = text.find('-');
  const auto first = number<std::uint16_t>(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0) {
    return invalid("'" + shown +
                   "' is no port: write a number from 1 to 65535, a range like 8000-8010, and /tcp or /udp");
  }
  if (*first > *last) return invalid("'" + shown + "' is no range of ports: its end is before its start");
  return PortRange{*first, *last, std::move(protocol)};
}

std::vector<std::string> ports_of(const PortRange& range) {
  std::vector<std::string> ports;
  for (std::uint32_t port = range.first; port <= range.last; ++port) {
    ports.push_back(std::to_string(port) + "/" + range.protocol);
  }
  return ports;
}

Status check_signal(std::string_view text) {
  std::string name = upper(text);
  if (const auto value = number<int>(text); value && *value > 0) return ok();
  if (name.substr(0, 3) == "SIG") name.erase(0, 3);
  if (std::find(kSignals.begin(), kSignals.end(), name) != kSignals.end() || is_real_time(name)) return ok();
  return invalid("'" + std::string(text) + "' is no signal: write a name like SIGTERM or a number");
}

Status check_mode(std::string_view text) {
  const Result<ModeChange> change = ModeChange::parse(text);
  return change.ok() ? ok() : Status(change.error());
}

}  // namespace imagebuild::dockerfile
