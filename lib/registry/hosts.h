// How each registry is reached: scheme, trust and mirrors. Filled by the programs from flags and a config file.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/url.h"

namespace imagebuild::registry {

// The rules for one registry, known by the name that stands in references ("docker.io", "registry.corp:5000").
struct HostRule {
  bool plain_http = false;           // Loopback registries need not say so.
  bool skip_tls_verify = false;      // For the programs, which build the transport's trust from it.
  std::filesystem::path ca_file;     // Likewise; empty: the system's CAs.
  std::vector<std::string> mirrors;  // Base URLs in order, asked before the registry itself, for pulls only.
};

// One server to ask.
struct Endpoint {
  http::Url base;    // "https://registry-1.docker.io/", always with a path that ends in '/'.
  std::string name;  // What credentials and messages call it: "docker.io", "localhost:5000", or the mirror's host.
  bool mirror = false;
};

struct HostRules {
  std::map<std::string, HostRule> by_registry;

  // "docker.io=http://HOST:PORT[/prefix]" (the value of --registry-mirror) becomes a rule; kInvalidInput says what is
  // wrong with it. A mirror without a scheme is https, or http when it is loopback.
  Status add_mirror(std::string_view text);

  const HostRule& rule(const std::string& registry) const;
  // The registry itself, over HTTP if plain_http says so or it is on loopback (localhost, 127/8, ::1) without a rule
  // about TLS, else over HTTPS; docker.io is registry-1.docker.io.
  Result<Endpoint> origin(const std::string& registry) const;
  // Mirrors in order, then the origin.
  Result<std::vector<Endpoint>> for_pull(const std::string& registry) const;
};

}  // namespace imagebuild::registry
