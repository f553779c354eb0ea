// The seam to the network: one HTTP exchange, whoever carries it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/stream.h"
#include "http/headers.h"
#include "http/url.h"

namespace imagebuild::http {

// A request's content. A factory, because a retry, a redirect or a dead kept-alive connection sends it again.
struct RequestBody {
  // Starts the content anew; called on the sending thread, once for each try. An error ends the request and is
  // returned by send() as it is.
  std::function<Result<std::unique_ptr<ByteSource>>()> open;
  std::optional<std::uint64_t> size_bytes;  // Absent: sent in chunks (Transfer-Encoding: chunked).

  static RequestBody of(std::string text);
};

struct Timeouts {
  std::chrono::milliseconds connect{30'000};  // For name lookup, TCP and TLS together.
  std::chrono::milliseconds idle{120'000};  // Without a byte in either direction; time a consumer takes is not counted.
};

struct Request {
  std::string method = "GET";
  Url url;
  Headers headers = {};
  std::optional<RequestBody> body = {};  // Absent on POST, PUT and PATCH: an empty body is sent.
  Timeouts timeouts = {};
};

struct Response {
  int status = 0;
  Headers headers;
  // Never null. Pulled lazily: at most about 256 KiB wait in memory. A body shorter than its Content-Length ends in
  // kUnavailable. Dropping it half-read closes the connection.
  std::unique_ptr<ByteSource> body;
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // Sends one request and returns when the header of the final answer (not 1xx) has arrived, whatever its status.
  // Redirects are not followed. Many threads may send through one transport; a body is read by one thread, which need
  // not be the sender, and may outlive the transport. Errors: kUnavailable for what the network did (one sentence with
  // the host and the reason; trying again may help), kDenied for a server certificate that is not trusted, kCancelled
  // soon after `stop` is requested (also for reads of the body), kLimit for an oversized header.
  virtual Result<Response> send(const Request& request, std::stop_token stop) = 0;
};

}  // namespace imagebuild::http
