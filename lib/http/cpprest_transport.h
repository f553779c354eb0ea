// HttpTransport over cpprestsdk: what the operator speaks to the Kubernetes API with. Many exchanges wait at once
// without a thread each (watches), client certificates and CAs come from memory, bodies are pushed as they arrive.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "http/transport.h"

namespace imagebuild::http {

struct CpprestOptions {
  std::string ca_pem;           // The only authorities that are trusted. Empty: the system's.
  std::string client_cert_pem;  // With its chain; empty: none is shown.
  std::string client_key_pem;
  bool skip_verify = false;  // Any server certificate will do. Only when a person asked for it.
  std::string user_agent = "imagebuild";
};

// Prepares this process for cpprestsdk; call it first in main, before there are threads. Its pool gets `threads`
// threads (40 otherwise), and OpenSSL's search for the system's CAs is pointed at nothing: cpprestsdk would parse the
// whole bundle again for each connection (tens of milliseconds). Whoever else speaks TLS in this process must name its
// CA file.
void prepare_process_for_cpprest(unsigned threads = 6);

// What differs from the contract of HttpTransport: a request's body is read into memory before it is sent, and may
// have at most kMaxSentBytes (kLimit); an oversized header is not noticed; the environment's proxies are not used;
// an IPv6 address cannot be given as the host (kUnsupported), but a name that has one can;
// a POST whose kept-alive connection the server closed at that moment ends in kUnavailable, or arrives twice.
class CpprestTransport final : public HttpTransport {
 public:
  static constexpr std::uint64_t kMaxSentBytes = 64ULL * 1024 * 1024;

  explicit CpprestTransport(CpprestOptions options = {});
  ~CpprestTransport() override;
  Result<Response> send(const Request& request, std::stop_token stop) override;

 private:
  class Body;
  struct Origin;
  std::shared_ptr<Origin> origin_of(const Url& url);

  const CpprestOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Origin>> origins_;
};

}  // namespace imagebuild::http
