// Absolute http and https URLs (RFC 3986), as registries hand them out.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::http {

// The longest URL that is read; signed storage URLs are a few KiB.
inline constexpr std::size_t kMaxUrlBytes = 32 * 1024;

class Url {
 public:
  // "http://host[:port][/path][?query][#fragment]"; the fragment is dropped. Another scheme, a user name or password,
  // control characters, spaces and bad ports are kInvalidInput; the message never repeats the text, which may carry a
  // signature.
  static Result<Url> parse(std::string_view text);

  const std::string& scheme() const { return scheme_; }  // "http" or "https"
  const std::string& host() const { return host_; }      // Lower case; an IPv6 address without its brackets.
  std::uint16_t port() const { return port_; }           // The scheme's own when the URL names none.
  const std::string& path() const { return path_; }      // As sent: percent-encoded, never empty.
  const std::string& query() const { return query_; }    // As sent, without its '?'; may be empty.

  std::string host_port() const;  // "host" or "host:port", the scheme's own port left out, IPv6 in brackets.
  std::string origin() const;     // "https://host:port", the scheme's own port left out.
  std::string str() const;

  // What `location` means when it stands in an answer from this URL (RFC 3986 section 5): absolute, "//host/p", "/p",
  // "p" or "?q". Only http and https are accepted.
  Result<Url> resolve(std::string_view location) const;
  // The same URL with "name=value" added behind whatever query there is; both are percent-encoded here.
  Url with_query(std::string_view name, std::string_view value) const;
  // Whether scheme, host and port agree: the bound for Authorization headers.
  bool same_origin(const Url& other) const;

  auto operator<=>(const Url&) const = default;

 private:
  Url() = default;
  std::string scheme_, host_;
  std::uint16_t port_ = 0;
  std::string path_, query_;
};

// Everything but RFC 3986's unreserved characters as %XX.
std::string percent_encode(std::string_view text);

// "name=value" pairs joined with '&', encoded as an HTML form is (the body of an OAuth2 token request).
std::string form_encode(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);

// Whether `host` (without port and brackets) is this machine: localhost, *.localhost, 127.0.0.0/8 or ::1.
bool is_loopback(std::string_view host);

}  // namespace imagebuild::http
