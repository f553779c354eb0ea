#include "registry/wire.h"

#include <algorithm>

namespace imagebuild::registry {
namespace {

constexpr int kMaxRedirects = 10;
constexpr int kMirrorAttempts = 2;
constexpr std::uint64_t kDrainBytes = 64 * 1024;

bool is_redirect(int status, const std::string& method) {
  if (status == 307 || status == 308) return true;
  return (status == 301 || status == 302 || status == 303) && (method == "GET" || method == "HEAD");
}

}  // namespace

void drain(http::Response& response) {
  // Best effort: a connection that cannot be used again is merely closed.
  if (response.body) static_cast<void>(read_all(*response.body, kDrainBytes).ok());
}

Result<http::Response> Wire::send(const Target& target, http::Request request, const Scopes& scopes,
                                  const std::stop_token& stop) {
  request.timeouts = timeouts_;
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    const bool own_origin = request.url.same_origin(target.endpoint.base);
    request.headers.remove("Authorization");
    auto response = own_origin ? send_authorized(target, request, scopes, stop) : transport_.send(request, stop);
    if (!response.ok()) {
      // A storage server that was redirected to has another name than the registry that people know.
      if (own_origin || response.error().code == ErrorCode::kCancelled) return response;
      return response.error().in("registry " + target.endpoint.name);
    }
    const auto location = response->headers.find("Location");
    if (!is_redirect(response->status, request.method) || !location) return response;
    drain(*response);
    auto next = request.url.resolve(*location);
    if (!next.ok()) {
      return Error{ErrorCode::kUnavailable,
                   "registry " + target.endpoint.name + " redirects to an address that is malformed"};
    }
    request.url = std::move(next).value();
  }
  return Error{ErrorCode::kUnavailable, "registry " + target.endpoint.name + " redirects in a circle"};
}

Result<http::Response> Wire::send_authorized(const Target& target, http::Request& request, const Scopes& scopes,
                                             const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const std::string authorization, authorizer_.header_for(target, scopes, stop));
  if (!authorization.empty()) request.headers.set("Authorization", authorization);
  auto response = transport_.send(request, stop);
  if (!response.ok() || response->status != 401) return response;
  ASSIGN_OR_RETURN(const std::string renewed,
                   authorizer_.renew(target, scopes, response->headers, authorization, stop));
  if (renewed.empty()) return response;
  drain(*response);
  response->body.reset();  // Gives its connection back before the next request looks for one.
  request.headers.set("Authorization", renewed);
  return transport_.send(request, stop);
}

http::Retrier Wire::retrier(const Target& target, const std::stop_token& stop) const {
  http::RetryPolicy policy = retry_;
  if (target.endpoint.mirror) policy.attempts = std::min(policy.attempts, kMirrorAttempts);
  return {policy, seams_, stop};
}

Result<http::Response> Wire::send_retrying(const Target& target, const http::Request& request, const Scopes& scopes,
                                           const std::stop_token& stop) {
  http::Retrier retries = retrier(target, stop);
  while (true) {
    auto response = send(target, request, scopes, stop);
    const bool again = response.ok() ? retries.again(*response) : retries.again(response.error());
    if (again) continue;
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    return response;
  }
}

}  // namespace imagebuild::registry
