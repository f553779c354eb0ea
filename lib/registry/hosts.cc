#include "registry/hosts.h"

namespace imagebuild::registry {
namespace {

// "host", "host:port" or "[::1]:port" without what stands behind the host.
std::string_view host_of(std::string_view registry) {
  if (registry.starts_with('[')) return registry.substr(1, registry.find(']') - 1);
  return registry.substr(0, registry.find(':'));
}

Result<http::Url> parse_base(const std::string& text) {
  ASSIGN_OR_RETURN(http::Url url, http::Url::parse(text));
  if (!url.query().empty()) return Error{ErrorCode::kInvalidInput, "it must not have a query"};
  if (url.path().ends_with('/')) return url;
  return http::Url::parse(url.str() + "/");
}

Result<http::Url> parse_mirror(const std::string& text) {
  if (text.find("://") != text.npos) return parse_base(text);
  return parse_base((http::is_loopback(host_of(text.substr(0, text.find('/')))) ? "http://" : "https://") + text);
}

}  // namespace

Status HostRules::add_mirror(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidInput, "the mirror '" + std::string(text) + "' is wrong: " + why};
  };
  const auto equals = text.find('=');
  if (equals == text.npos || equals == 0 || equals + 1 == text.size()) {
    return bad("write REGISTRY=URL, for example docker.io=http://mirror.example:5000");
  }
  const std::string registry(text.substr(0, equals)), mirror(text.substr(equals + 1));
  if (registry.find('/') != registry.npos) return bad("the registry's name must not contain a '/'");
  const auto url = parse_mirror(mirror);
  if (!url.ok()) return bad(url.error().message);
  by_registry[registry].mirrors.push_back(mirror);
  return ok();
}

const HostRule& HostRules::rule(const std::string& registry) const {
  static const HostRule kNone;
  const auto found = by_registry.find(registry);
  return found == by_registry.end() ? kNone : found->second;
}

Result<Endpoint> HostRules::origin(const std::string& registry) const {
  const HostRule& its_rule = rule(registry);
  const bool wants_tls = its_rule.skip_tls_verify || !its_rule.ca_file.empty();
  const bool plain = its_rule.plain_http || (!wants_tls && http::is_loopback(host_of(registry)));
  const std::string host = registry == "docker.io" || registry == "index.docker.io" ? "registry-1.docker.io" : registry;
  auto base = parse_base((plain ? "http://" : "https://") + host + "/");
  if (!base.ok()) return base.error().in("registry '" + registry + "'");
  return Endpoint{.base = std::move(base).value(), .name = registry, .mirror = false};
}

Result<std::vector<Endpoint>> HostRules::for_pull(const std::string& registry) const {
  std::vector<Endpoint> endpoints;
  for (const std::string& mirror : rule(registry).mirrors) {
    auto base = parse_mirror(mirror);
    if (!base.ok()) return base.error().in("the mirror '" + mirror + "' of " + registry);
    const std::string name = base->host_port();
    endpoints.push_back({.base = std::move(base).value(), .name = name, .mirror = true});
  }
  ASSIGN_OR_RETURN(Endpoint itself, origin(registry));
  endpoints.push_back(std::move(itself));
  return endpoints;
}

}  // namespace imagebuild::registry
