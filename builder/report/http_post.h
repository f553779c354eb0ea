// One HTTP/1.1 POST over a plain socket, small enough for the static imagebuild-stage: no TLS, no names, no redirects.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::builder {

// Where a POST goes: "http://10.1.2.3:8081/path" or "http://[fd00::1]:8081/path". Port 80 if there is none.
class HttpEndpoint {
 public:
  // kUnsupported for another scheme and for a host that is not an IP address, kInvalidInput for what is no URL.
  static Result<HttpEndpoint> parse(std::string_view url);

  const std::string& host() const { return host_; }  // With the port, as the URL says it.
  const std::string& path() const { return path_; }  // With the query, at least "/".
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t address_size() const { return address_size_; }

 private:
  HttpEndpoint() = default;
  std::string host_, path_;
  sockaddr_storage address_ = {};
  socklen_t address_size_ = 0;
};

// How long each part may take.
struct PostLimits {
  std::chrono::milliseconds total{10'000};
  std::chrono::milliseconds connect{3'000};
  std::chrono::milliseconds silence{5'000};  // Nothing can be written, or nothing comes.
};

// The status of an HTTP/1.x answer, informational ones (1xx) passed over; nothing while it is not all there; kCorrupt
// when it is no such answer.
Result<std::optional<int>> answered_status(std::string_view answer);

// Sends `json` on a connection of its own and returns the answer's status; the rest of the answer is not read. A server
// that answers before it has read everything is listened to. kUnavailable when there is no answer (or `limits` are
// over), kCorrupt when it is not HTTP, kCancelled as soon as `stop` is requested.
Result<int> http_post_json(const HttpEndpoint& to, std::string_view bearer_token, std::string_view json,
                           const PostLimits& limits, const std::stop_token& stop);

}  // namespace imagebuild::builder
