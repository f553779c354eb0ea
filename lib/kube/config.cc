#include "kube/config.h"

#include <cstdlib>

#include "base/file.h"

namespace imagebuild::kube {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1024 * 1024;

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return {};
    return value;
  };
}

Result<Config> load_in_cluster(const Environment& environment, const std::filesystem::path& folder, Clock now) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || !port) {
    return Error{ErrorCode::kNotFound,
                 "this is not a pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"};
  }
  // The transport cannot reach literal IPv6 addresses; every API server's certificate knows this name.
  const bool ipv6 = host->find(':') != host->npos;
  auto server = http::Url::parse("https://" + (ipv6 ? "kubernetes.default.svc" : *host) + ":" + *port);
  if (!server.ok()) return server.error().in("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
  Config config{.server = *std::move(server)};
  auto ca = read_file(folder / "ca.crt", kMaxFileBytes);
  if (!ca.ok()) return ca.error().in("the service account's CA certificate");
  config.ca_pem = *std::move(ca);
  config.token = std::make_shared<FileToken>(folder / "token", std::move(now));
  if (const auto token = config.token->token(); !token.ok()) return token.error();
  if (auto ns = read_file(folder / "namespace", kMaxFileBytes); ns.ok()) {
    while (!ns->empty() && static_cast<unsigned char>(ns->back()) <= ' ') ns->pop_back();
    if (!ns->empty()) config.ns = *std::move(ns);
  }
  return config;
}

Result<Config> load_config(const Environment& environment, const KubeconfigOptions& options) {
  if (!environment("KUBECONFIG")) {
    auto in_cluster = load_in_cluster(environment);
    if (in_cluster.ok() || in_cluster.error().code != ErrorCode::kNotFound) return in_cluster;
  }
  return load_kubeconfig(kubeconfig_files(environment), options);
}

}  // namespace imagebuild::kube
