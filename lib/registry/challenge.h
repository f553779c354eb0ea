// How a server says what authentication it wants: the WWW-Authenticate header (RFC 9110 section 11.6.1).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace imagebuild::registry {

struct Challenge {
  std::string scheme;                             // Lower case: "bearer", "basic".
  std::map<std::string, std::string> parameters;  // Names in lower case: "realm", "service", "scope".

  // The parameter's value, or "".
  std::string get(const std::string& name) const;
};

// The challenges of one header value, in order. Untrusted text: what cannot be understood ends the list, nothing fails.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace imagebuild::registry
