#include "http/url.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace imagebuild::http {
namespace {

Error bad_url(std::string_view why) {
  return {ErrorCode::kInvalidInput, "not a usable URL: " + std::string(why)};
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}
bool is_hex(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

// RFC 3986's unreserved, which never need an escape.
bool is_unreserved(char c) {
  return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

// Nothing that could end a request line early.
bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65535) return {};
  return static_cast<std::uint16_t>(value);
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_unreserved(c) && c != '~'; });
}

bool is_ipv6_address(std::string_view host) {
  return host.size() >= 2 && host.find(':') != host.npos &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_hex(c) || c == ':' || c == '.'; });
}

struct Authority {
  std::string host;
  std::uint16_t port;
};

Result<Authority> parse_authority(std::string_view text, std::string_view scheme) {
  if (text.find('@') != text.npos) return bad_url("it must not contain a user name or password");
  std::string_view host, rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return bad_url("the IPv6 address has no closing bracket");
    host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (!is_ipv6_address(host)) return bad_url("the IPv6 address is malformed");
  } else {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    rest = colon == text.npos ? std::string_view() : text.substr(colon);
    if (!is_host_name(host)) return bad_url("the host name is empty or has characters that no host name has");
  }
  if (rest.empty() || rest == ":") return Authority{lowered(host), default_port(scheme)};
  if (!rest.starts_with(':')) return bad_url("there is text between the host and the port");
  const auto port = parse_port(rest.substr(1));
  if (!port) return bad_url("the port is not a number from 1 to 65535");
  return Authority{lowered(host), *port};
}

// RFC 3986 section 5.2.4: takes "." and ".." out of an absolute path.
std::string without_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool folder = false;
  for (std::size_t at = 1; at <= path.size();) {
    const auto slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    folder = segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!folder) kept.push_back(segment);
    at = slash + 1;
  }
  std::string result;
  for (const auto segment : kept) result.append("/").append(segment);
  if (folder || result.empty()) result += '/';
  return result;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return bad_url("it is longer than " + std::to_string(kMaxUrlBytes) + " bytes");
  if (!is_visible_ascii(text)) return bad_url("it contains spaces, control characters or bytes that need %-escapes");
  text = text.substr(0, text.find('#'));
  const auto scheme_end = text.find("://");
  if (scheme_end == text.npos) return bad_url("it does not begin with http:// or https://");
  Url url;
  url.scheme_ = lowered(text.substr(0, scheme_end));
  if (url.scheme_ != "http" && url.scheme_ != "https") return bad_url("only http:// and https:// are supported");
  text.remove_prefix(scheme_end + 3);
  const auto authority_end = std::min(text.find_first_of("/?"), text.size());
  ASSIGN_OR_RETURN(const Authority authority, parse_authority(text.substr(0, authority_end), url.scheme_));
  url.host_ = authority.host;
  url.port_ = authority.port;
  text.remove_prefix(authority_end);
  const auto question = std::min(text.find('?'), text.size());
  url.path_ = question == 0 ? "/" : std::string(text.substr(0, question));
  if (question < text.size()) url.query_ = std::string(text.substr(question + 1));
  return url;
}

std::string Url::host_port() const {
  std::string text = host_.find(':') == host_.npos ? host_ : "[" + host_ + "]";
  if (port_ != default_port(scheme_)) text += ":" + std::to_string(port_);
  return text;
}

std::string Url::origin() const {
  return scheme_ + "://" + host_port();
}

std::string Url::str() const {
  std::string text = origin() + path_;
  if (!query_.empty()) text += "?" + query_;
  return text;
}

Result<Url> Url::resolve(std::string_view location) const {
  if (location.size() > kMaxUrlBytes) return bad_url("it is longer than " + std::to_string(kMaxUrlBytes) + " bytes");
  location = location.substr(0, location.find('#'));
  if (location.empty()) return *this;
  const auto colon = location.find(':');
  const bool absolute = colon != location.npos && colon < location.find_first_of("/?");
  if (absolute) return parse(location);
  if (location.starts_with("//")) return parse(scheme_ + ":" + std::string(location));
  if (location.starts_with('?')) return parse(origin() + path_ + std::string(location));
  const auto question = std::min(location.find('?'), location.size());
  std::string path(location.substr(0, question));
  if (!path.starts_with('/')) path = path_.substr(0, path_.rfind('/') + 1) + path;
  return parse(origin() + without_dot_segments(path) + std::string(location.substr(question)));
}

Url Url::with_query(std::string_view name, std::string_view value) const {
  Url url = *this;
  if (!url.query_.empty()) url.query_ += '&';
  url.query_ += percent_encode(name) + "=" + percent_encode(value);
  return url;
}

bool Url::same_origin(const Url& other) const {
  return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    if (is_unreserved(c)) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += kDigits[byte >> 4U];
    result += kDigits[byte & 15U];
  }
  return result;
}

std::string form_encode(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  std::string result;
  for (const auto& [name, value] : fields) {
    if (!result.empty()) result += '&';
    result += percent_encode(name) + "=" + percent_encode(value);
  }
  return result;
}

bool is_loopback(std::string_view host) {
  const std::string name = lowered(host);
  if (name == "localhost" || name.ends_with(".localhost") || name == "::1") return true;
  // An address, not a name that begins like one ("127.0.0.1.example.org").
  if (!name.starts_with("127.") || std::count(name.begin(), name.end(), '.') != 3) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_digit(c) || c == '.'; });
}

}  // namespace imagebuild::http
