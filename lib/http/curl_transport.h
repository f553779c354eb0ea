// HttpTransport over libcurl: HTTP/1.1, kept-alive connections, system or given CAs, proxies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "http/transport.h"

namespace imagebuild::http {

// Whom to believe when a host shows its certificate.
struct HostTrust {
  std::filesystem::path ca_file;  // PEM; used instead of the system's. Empty: the system's.
  bool skip_verify = false;       // Any certificate will do. Only when a person asked for it.
};

// Proxy URLs as curl understands them; empty: none. Loopback hosts are always reached directly.
struct ProxySettings {
  std::string for_http, for_https, except;

  // http_proxy, https_proxy and no_proxy, or the same in capitals; all_proxy where the first two are missing.
  static ProxySettings from_environment();
};

struct CurlOptions {
  std::map<std::string, HostTrust> trust;  // By "host:port", else by "host".
  ProxySettings proxy = ProxySettings::from_environment();
  std::string user_agent = "imagebuild";
  std::size_t max_idle_connections = 16;
};

class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(CurlOptions options = {});
  ~CurlTransport() override;
  Result<Response> send(const Request& request, std::stop_token stop) override;

 private:
  struct Pool;
  class Body;
  std::shared_ptr<Pool> pool_;
};

}  // namespace imagebuild::http
