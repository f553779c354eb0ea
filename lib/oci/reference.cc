#include "oci/reference.h"

#include <algorithm>
#include <cstdlib>

namespace imagebuild::oci {

namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::string_view kLegacyDefaultRegistry = "index.docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr std::size_t kMaxRepositoryBytes = 255;
constexpr std::size_t kMaxTagBytes = 128;
constexpr std::size_t kMaxReferenceBytes = 4096;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_alphanumeric(char c) {
  return is_digit(c) || is_lower(c) || is_upper(c);
}

Error wrong(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

// A character as a message shows it: 'x', or its value if it cannot be seen.
std::string shown(char c) {
  if (c == ' ') return "a space";
  if (c > ' ' && c < 0x7f) return std::string("'") + c + "'";
  const auto value = static_cast<unsigned char>(c);
  return std::string("the byte 0x") + "0123456789abcdef"[value >> 4] + "0123456789abcdef"[value & 15];
}

// A component of a host name: letters, digits and inner dashes.
bool is_host_label(std::string_view label) {
  if (label.empty() || label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_host_name(std::string_view host) {
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(host.find('.', begin), host.size());
    if (!is_host_label(host.substr(begin, end - begin))) return false;
    if (end == host.size()) return true;
    begin = end + 1;
  }
}

Status check_registry(std::string_view registry) {
  const std::string quoted = "the registry '" + std::string(registry) + "'";
  std::string_view host = registry;
  std::string_view port;
  bool has_port = false;
  const std::size_t bracket = registry.starts_with('[') ? registry.find(']') : 0;
  if (bracket == std::string_view::npos) return wrong(quoted + " has '[' without ']'");
  if (const std::size_t colon = registry.find(':', bracket); colon != std::string_view::npos) {
    host = registry.substr(0, colon);
    port = registry.substr(colon + 1);
    has_port = true;
  }
  if (has_port && (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit) ||
                   std::stoi(std::string(port)) > 65535)) {
    return wrong(quoted + " has a port that is not a number from 0 to 65535");
  }
  if (host.starts_with('[')) {
    const std::string_view inner = host.substr(1, bracket - 1);
    const bool address = host.size() == bracket + 1 && !inner.empty() &&
                         std::all_of(inner.begin(), inner.end(), [](char c) { return is_hex(c) || c == ':'; });
    if (!address) return wrong(quoted + " is not an IPv6 address in brackets");
  } else if (!is_host_name(host)) {
    return wrong(quoted + " is not a host name");
  }
  return ok();
}

// distribution's path-component: runs of [a-z0-9] joined by '.', '_', '__' or dashes.
Status check_component(std::string_view component) {
  const std::string quoted = "'" + std::string(component) + "'";
  if (component.empty()) return wrong("the repository has an empty part between slashes");
  for (const char c : component) {
    if (is_lower(c) || is_digit(c) || c == '.' || c == '_' || c == '-') continue;
    if (is_upper(c)) return wrong("the repository must be in lower case, but " + quoted + " is not");
    return wrong(shown(c) + " is not allowed in a repository");
  }
  const auto is_separator = [](char c) { return c == '.' || c == '_' || c == '-'; };
  if (is_separator(component.front()) || is_separator(component.back())) {
    return wrong("a part of a repository begins and ends with a letter or digit, unlike " + quoted);
  }
  for (std::size_t begin = 0; begin < component.size(); ++begin) {
    if (!is_separator(component[begin])) continue;
    std::size_t end = begin;
    while (is_separator(component[end])) ++end;
    const std::string_view separator = component.substr(begin, end - begin);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") {
      return wrong("'" + std::string(separator) +
                   "' is not allowed between letters of a repository: use '.', '_', '__' or '-'");
    }
    begin = end;
  }
  return ok();
}

Status check_repository(std::string_view repository) {
  if (repository.empty()) return wrong("it has no repository");
  if (repository.size() > kMaxRepositoryBytes) {
    return wrong("the repository has " + std::to_string(repository.size()) + " bytes; at most 255 are allowed");
  }
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(repository.find('/', begin), repository.size());
    RETURN_IF_ERROR(check_component(repository.substr(begin, end - begin)));
    if (end == repository.size()) return ok();
    begin = end + 1;
  }
}

// Docker's rule for whether the part before the first slash is a registry or already the repository.
bool names_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         std::any_of(first.begin(), first.end(), is_upper);
}

struct Split {
  std::string registry, repository, tag;
  bool has_tag = false;
};

// Cuts "[registry/]repository[:tag]" up as Docker does and fills in its defaults; checks nothing.
Split split(std::string_view name) {
  Split result;
  result.registry = kDefaultRegistry;
  std::string_view rest = name;
  if (const std::size_t slash = name.find('/');
      slash != std::string_view::npos && names_registry(name.substr(0, slash))) {
    result.registry = name.substr(0, slash);
    rest = name.substr(slash + 1);
    if (result.registry == kLegacyDefaultRegistry) result.registry = kDefaultRegistry;
  }
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos) {
    result.tag = rest.substr(colon + 1);
    result.has_tag = true;
    rest = rest.substr(0, colon);
  }
  result.repository = rest;
  const bool official =
      result.registry == kDefaultRegistry && rest.find('/') == std::string_view::npos && !rest.empty();
  if (official) result.repository.insert(0, kOfficialPrefix);
  return result;
}

bool looks_like_image_id(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Status Reference::check_tag(std::string_view tag) {
  if (tag.empty()) return wrong("the tag after ':' is empty");
  if (tag.size() > kMaxTagBytes)
    return wrong("the tag has " + std::to_string(tag.size()) + " bytes; at most 128 are allowed");
  if (tag.front() == '.' || tag.front() == '-')
    return wrong("the tag '" + std::string(tag) + "' must not begin with " + shown(tag.front()));
  for (const char c : tag) {
    if (!is_alphanumeric(c) && c != '_' && c != '.' && c != '-') return wrong(shown(c) + " is not allowed in a tag");
  }
  return ok();
}

Result<Reference> Reference::parse(std::string_view text) {
  if (text.empty()) return wrong("an image name must not be empty");
  if (text.size() > kMaxReferenceBytes)
    return wrong("an image name of " + std::to_string(text.size()) + " bytes is too long");
  const std::string where = "invalid image name '" + std::string(text) + "'";
  if (looks_like_image_id(text)) return wrong(where + ": 64 hexadecimal digits are an image id; name the repository");
  if (text.find("://") != std::string_view::npos) return wrong(where + ": write it without a scheme like https://");

  Reference reference;
  const std::size_t at = text.find('@');
  if (at != std::string_view::npos) {
    Result<Digest> digest = Digest::parse(text.substr(at + 1));
    if (!digest.ok()) return digest.error().in(where);
    reference.digest_ = std::move(digest).value();
  }
  Split parts = split(text.substr(0, at));
  RETURN_IF_ERROR(check_registry(parts.registry).in(where));
  RETURN_IF_ERROR(check_repository(parts.repository).in(where));
  if (parts.has_tag) RETURN_IF_ERROR(check_tag(parts.tag).in(where));
  if (!parts.has_tag && !reference.digest_) parts.tag = "latest";
  reference.registry_ = std::move(parts.registry);
  reference.repository_ = std::move(parts.repository);
  reference.tag_ = std::move(parts.tag);
  return reference;
}

std::string Reference::str() const {
  return registry_ + "/" + repository_ + (tag_.empty() ? "" : ":" + tag_) + (digest_ ? "@" + digest_->str() : "");
}

std::string Reference::familiar() const {
  std::string name = str();
  if (registry_ != kDefaultRegistry) return name;
  name.erase(0, kDefaultRegistry.size() + 1);
  const bool official =
      repository_.starts_with(kOfficialPrefix) && repository_.find('/', kOfficialPrefix.size()) == std::string::npos;
  if (official) name.erase(0, kOfficialPrefix.size());
  return name;
}

std::string Reference::identifier() const {
  return digest_ ? digest_->str() : tag_;
}

Reference Reference::with_digest(const Digest& digest) const {
  Reference result = *this;
  result.digest_ = digest;
  return result;
}

Reference Reference::with_tag(std::string tag) const {
  if (!check_tag(tag).ok()) std::abort();
  Reference result = *this;
  result.tag_ = std::move(tag);
  result.digest_.reset();
  return result;
}

}  // namespace imagebuild::oci
