// One request to a registry and everything between the question and the answer: authorization, redirects, retries.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.h"
#include "http/retry.h"
#include "http/transport.h"
#include "registry/auth.h"

namespace imagebuild::registry {

class Wire {
 public:
  Wire(http::HttpTransport& transport, Authorizer& authorizer, http::RetryPolicy retry, http::RetrySeams seams,
       http::Timeouts timeouts)
      : transport_(transport), authorizer_(authorizer), retry_(retry), seams_(std::move(seams)), timeouts_(timeouts) {}

  // One try, with the timeouts given above. Authorization goes to the target's own origin only; a 401 is answered once
  // with new credentials; redirects are followed (301, 302 and 303 for GET and HEAD, 307 and 308 for every method), at
  // most 10. Any other status is returned to the caller.
  Result<http::Response> send(const Target& target, http::Request request, const Scopes& scopes,
                              const std::stop_token& stop);
  // The same until the answer is not transient or the retries are used up. For requests that may arrive twice.
  Result<http::Response> send_retrying(const Target& target, const http::Request& request, const Scopes& scopes,
                                       const std::stop_token& stop);
  // A retry counter for an operation of several requests. Mirrors get fewer tries: there is somebody else to ask.
  http::Retrier retrier(const Target& target, const std::stop_token& stop) const;
  Authorizer& authorizer() { return authorizer_; }

 private:
  Result<http::Response> send_authorized(const Target& target, http::Request& request, const Scopes& scopes,
                                         const std::stop_token& stop);
  http::HttpTransport& transport_;
  Authorizer& authorizer_;
  const http::RetryPolicy retry_;
  const http::RetrySeams seams_;
  const http::Timeouts timeouts_;
};

// Reads what is left of a short answer, so that its connection can be used again.
void drain(http::Response& response);

}  // namespace imagebuild::registry
