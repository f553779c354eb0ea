#include "builder/prepare/registries.h"

#include <utility>

#include "api/registries_file.h"
#include "base/file.h"
#include "http/curl_transport.h"
#include "registry/hosts.h"

namespace imagebuild::builder {

namespace {

constexpr std::uint64_t kMaxFileBytes = 1U << 20;

Status add_file(const std::string& path, bool use_mirrors, registry::HostRules& rules) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes));
  ASSIGN_OR_RETURN(const api::RegistriesFile file, api::RegistriesFile::parse(text, path));
  for (const auto& [name, entry] : file.registries) {
    registry::HostRule& rule = rules.by_registry[name];
    rule.plain_http = rule.plain_http || entry.plain_http;
    rule.skip_tls_verify = entry.skip_tls_verify;
    rule.ca_file = entry.ca_file;
    if (!use_mirrors) continue;
    for (const std::string& mirror : entry.mirrors) {
      RETURN_IF_ERROR(rules.add_mirror(name + "=" + mirror).in(path));
    }
  }
  return ok();
}

// Whether anybody speaks TLS there, with whatever certificate.
bool speaks_tls(const registry::HostRules& rules, const std::string& name) {
  constexpr std::chrono::milliseconds kPatience{3'000};
  const Result<registry::Endpoint> origin = rules.origin(name);
  if (!origin.ok()) return false;
  const Result<http::Url> url = origin->base.resolve("v2/");
  if (!url.ok()) return false;
  http::CurlOptions options;
  options.trust[url->host_port()] = http::HostTrust{{}, true};
  http::CurlTransport transport(std::move(options));
  http::Request request{.url = *url};
  request.timeouts = http::Timeouts{kPatience, kPatience};
  return transport.send(request, {}).ok();
}

void look_at_untrusted(const std::vector<std::string>& names, registry::HostRules& rules) {
  for (const std::string& name : names) {
    registry::HostRule& rule = rules.by_registry[name];
    if (rule.plain_http || rule.skip_tls_verify || !rule.ca_file.empty()) continue;
    rule.skip_tls_verify = true;
    if (speaks_tls(rules, name)) continue;
    rule.skip_tls_verify = false;
    rule.plain_http = true;
  }
}

Result<registry::Credentials> credentials_of(const RegistryOptions& options, ProcessRunner& processes) {
  if (!options.credentials) return registry::Credentials::from_environment(processes);
  std::vector<registry::CredentialsFile> files;
  for (const std::filesystem::path& path : *options.credentials) {
    ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes).in("the credentials file"));
    ASSIGN_OR_RETURN(registry::CredentialsFile file, registry::CredentialsFile::parse(text, path));
    files.push_back(std::move(file));
  }
  return registry::Credentials(std::move(files), processes);
}

}  // namespace

Result<std::unique_ptr<RegistryAccess>> RegistryAccess::open(const RegistryOptions& options, ProcessRunner& processes) {
  registry::ClientOptions client;
  for (const std::string& mirror : options.mirrors) {
    RETURN_IF_ERROR(client.hosts.add_mirror(mirror).in("--registry-mirror " + mirror));
  }
  for (const std::string& name : options.insecure) client.hosts.by_registry[name].plain_http = true;
  if (!options.file.empty()) RETURN_IF_ERROR(add_file(options.file, options.use_mirrors, client.hosts));
  look_at_untrusted(options.untrusted, client.hosts);
  ASSIGN_OR_RETURN(client.credentials, credentials_of(options, processes));

  http::CurlOptions transport;
  for (const auto& [name, rule] : client.hosts.by_registry) {
    if (rule.ca_file.empty() && !rule.skip_tls_verify) continue;
    ASSIGN_OR_RETURN(const registry::Endpoint origin, client.hosts.origin(name));
    transport.trust[origin.base.host_port()] = http::HostTrust{rule.ca_file, rule.skip_tls_verify};
  }
  return std::unique_ptr<RegistryAccess>(
      new RegistryAccess(std::make_unique<http::CurlTransport>(std::move(transport)), std::move(client)));
}

}  // namespace imagebuild::builder
