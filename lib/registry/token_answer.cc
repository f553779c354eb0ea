#include "registry/token_answer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace imagebuild::registry {
namespace {

using nlohmann::json;

constexpr std::int64_t kDefaultLifetimeSeconds = 60, kLongestLifetimeSeconds = 30LL * 24 * 3600;

std::string text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "2026-01-02T03:04:05[.678]Z" or with "+01:00"; seconds are enough.
std::optional<WallTime> parse_rfc3339(std::string_view text) {
  bool good = text.size() >= 20 && text[4] == '-' && text[7] == '-' && text[13] == ':' && text[16] == ':';
  if (!good) return {};
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    const auto result = std::from_chars(text.data() + at, text.data() + at + length, value);
    good = good && result.ec == std::errc{} && result.ptr == text.data() + at + length && value >= 0;
    return value;
  };
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const auto time =
      std::chrono::hours(number(11, 2)) + std::chrono::minutes(number(14, 2)) + std::chrono::seconds(number(17, 2));
  std::size_t zone = 19;
  if (text[zone] == '.') zone = std::min(text.find_first_not_of("0123456789", zone + 1), text.size());
  std::chrono::minutes offset{0};
  const std::string_view rest = text.substr(zone);
  if (rest.size() == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':') {
    offset = std::chrono::hours(number(zone + 1, 2)) + std::chrono::minutes(number(zone + 4, 2));
    if (rest[0] == '-') offset = -offset;
  } else if (rest != "Z" && rest != "z") {
    return {};
  }
  if (!good || !day.ok()) return {};
  return WallTime(std::chrono::sys_days(day)) + time - offset;
}

}  // namespace

std::optional<TokenAnswer> parse_token_answer(std::string_view text, WallTime now) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return {};
  TokenAnswer answer;
  answer.token = text_member(root, "token");
  if (answer.token.empty()) answer.token = text_member(root, "access_token");
  // It goes into a header as it is.
  const auto is_plain = [](char c) { return c > ' ' && c < 0x7f; };
  if (answer.token.empty() || !std::all_of(answer.token.begin(), answer.token.end(), is_plain)) return {};
  answer.refresh_token = text_member(root, "refresh_token");
  std::int64_t lifetime = kDefaultLifetimeSeconds;
  const auto expires_in = root.find("expires_in");
  if (expires_in != root.end() && expires_in->is_number_integer()) lifetime = expires_in->get<std::int64_t>();
  const std::chrono::seconds valid(std::clamp<std::int64_t>(lifetime, 0, kLongestLifetimeSeconds));
  const auto issued = parse_rfc3339(text_member(root, "issued_at"));
  answer.expires = (issued && *issued <= now && *issued >= now - valid ? *issued : now) + valid;
  return answer;
}

}  // namespace imagebuild::registry
