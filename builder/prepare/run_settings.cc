#include "builder/prepare/run_settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "base/nearest.h"

namespace imagebuild::builder {

namespace {

// setrlimit's, less "as", which Docker does not know.
constexpr std::array<const char*, 15> kLimits = {"core",    "cpu",      "data",   "fsize",      "locks",
                                                 "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                                 "rss",     "rtprio",   "rttime", "sigpending", "stack"};
constexpr std::size_t kMaxHostName = 253;  // RFC 1035, in text.

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxHostName &&
         std::ranges::all_of(name, [](unsigned char c) { return c > ' ' && c != 0x7F && c != '#'; });
}

// -1 and more; nothing for anything else.
std::optional<std::int64_t> parse_limit(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < -1) return std::nullopt;
  return value;
}

bool exceeds(std::int64_t soft, std::int64_t hard) {
  return hard != -1 && (soft == -1 || soft > hard);
}

// 1024 to the power that the unit says: "", "b", "k", "kb", "kib", …, in any case.
std::optional<int> power_of(std::string_view unit) {
  std::string lower(unit);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (lower.empty() || lower == "b") return 0;
  constexpr std::string_view kPrefixes = "kmgtp";
  const std::size_t power = kPrefixes.find(lower.front());
  const std::string rest = lower.substr(1);
  if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) return std::nullopt;
  return static_cast<int>(power) + 1;
}

}  // namespace

Result<api::HostAlias> parse_host(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::size_t cut = equals != std::string_view::npos ? equals : text.find(':');
  if (cut == std::string_view::npos) {
    return invalid(in_quotes(text) + " has no address; write NAME:ADDRESS, such as db:10.0.0.7");
  }
  api::HostAlias alias{std::string(text.substr(0, cut)), std::string(text.substr(cut + 1))};
  if (!is_host_name(alias.name)) return invalid(in_quotes(text) + " does not begin with a host's name");
  if (alias.address == "host-gateway") {
    return Error{ErrorCode::kUnsupported, in_quotes(text) + ": host-gateway is not supported; give the address itself"};
  }
  if (alias.address.size() > 2 && alias.address.front() == '[' && alias.address.back() == ']') {
    alias.address = alias.address.substr(1, alias.address.size() - 2);
  }
  if (!is_address(alias.address)) {
    return invalid(in_quotes(text) + ": " + in_quotes(alias.address) + " is no IPv4 or IPv6 address");
  }
  return alias;
}

Result<api::Ulimit> parse_ulimit(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return invalid(in_quotes(text) + " has no value; write NAME=SOFT[:HARD], such as nofile=1024:2048");
  }
  api::Ulimit limit;
  limit.name = text.substr(0, equals);
  if (std::ranges::find(kLimits, limit.name) == kLimits.end()) {
    const std::vector<std::string> names(kLimits.begin(), kLimits.end());
    const auto near = nearest(limit.name, names);
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    return invalid("there is no limit " + in_quotes(limit.name) +
                   (near ? "; did you mean " + in_quotes(*near) + "?" : "; it can be " + list));
  }
  const std::string_view values = text.substr(equals + 1);
  const std::size_t colon = values.find(':');
  const auto soft = parse_limit(values.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : parse_limit(values.substr(colon + 1));
  if (!soft || !hard) {
    return invalid(in_quotes(text) + ": limits are numbers, -1 for unlimited; write NAME=SOFT[:HARD]");
  }
  if (exceeds(*soft, *hard)) {
    return invalid(in_quotes(text) + ": the soft limit must not be above the hard limit");
  }
  limit.soft = *soft;
  limit.hard = *hard;
  return limit;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const Error wrong = invalid(in_quotes(text) + " is no size; write it as 128m or 1g");
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || text.empty() || text.front() < '0' || text.front() > '9') return wrong;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const std::optional<int> power = power_of(unit);
  if (!power) return wrong;
  const double bytes = std::ldexp(number, 10 * *power);
  constexpr double kMost = 9e18;  // Below 2^63.
  if (!(bytes >= 1) || bytes > kMost) return invalid(in_quotes(text) + " must be more than 0 and less than 8 EiB");
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace imagebuild::builder
