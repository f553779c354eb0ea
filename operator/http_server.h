// A small HTTP/1.1 server for /metrics, the probes and the reports of builders: whole requests in, whole answers out,
// on civetweb. A connection carries one request, and no client, however slow, keeps others from being answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace imagebuild::op {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"; a HEAD reaches the handler of GET as "HEAD".
  std::string path;    // Percent-decoded, without query, "." and "..".
  std::string query;   // As sent, without the "?".
  HttpHeaders headers;
  std::string body;
  std::string remote_address;

  // The first header of that name, whatever its case; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  HttpHeaders headers = {};  // Further ones; Content-Length and Connection are the server's.
};

// Called by any of the server's threads, several at once. What it throws becomes a 500.
using HttpHandler = std::function<HttpAnswer(const HttpRequest&)>;
// Sees the request before its body is read (`body` is empty) and may answer at once: a client without the right to send
// a body shall not send one.
using HttpGate = std::function<std::optional<HttpAnswer>(const HttpRequest&)>;

class HttpServer {
 public:
  struct Options {
    std::string name = "http";                              // For error messages.
    std::string address = {};                               // Empty: all, IPv6 too where the machine has it.
    std::uint16_t port = 0;                                 // 0: any that is free.
    int threads = 32;                                       // As many requests are read and handled at once.
    std::uint64_t max_body_bytes = 1024 * 1024;             // More is 413; without Content-Length: 411.
    std::uint64_t max_pending_bytes = 64ULL * 1024 * 1024;  // Of all bodies in memory at once; more is 503.
    std::chrono::milliseconds silence{10'000};              // A client that is quiet for so long is cut off …
    std::chrono::milliseconds lifetime{60'000};             // … and any connection after this.
    // While all threads are taken, so long has a client to send its request line and headers.
    std::chrono::milliseconds patience{1'000};
    std::chrono::milliseconds drain{5'000};  // How long stop() waits for requests that are being handled.
  };

  explicit HttpServer(Options options);
  ~HttpServer();  // Stops.
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Before start(). A path that ends with "/" stands for everything below it; the longest that fits answers. An unknown
  // path is 404, a method that the path does not have 405.
  void route(std::string method, std::string path, HttpHandler handler, HttpGate gate = {});

  // Listens; the port is returned. kUnavailable when the address cannot be taken.
  Result<std::uint16_t> start();
  // Refuses new requests (503), waits for those being handled, then cuts off the rest.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace imagebuild::op
