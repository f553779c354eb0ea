// A registry's refusal as one sentence for a person (distribution-spec, "Error Codes").
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/transport.h"
#include "registry/auth.h"

namespace imagebuild::registry {

// What was being done, for the sentence.
struct Doing {
  std::string what;       // "the push to 'a/b'": registry X refused …
  std::string not_found;  // The whole sentence for a 404: "no image 'x:y' in registry …".
};

// The message of the registry's JSON error body, cleaned and cut to 300 bytes; "" when there is none.
std::string error_detail(std::string_view body);

// The error for an answer that is not a success; reads its body. 401 and 403 are kDenied, 404 kNotFound, transient
// statuses kUnavailable, 413 kLimit, 405 and 501 kUnsupported, DIGEST_INVALID kCorrupt, the rest kInvalidInput.
Error refusal(Authorizer& authorizer, const Target& target, const Doing& doing, http::Response& response);

}  // namespace imagebuild::registry
