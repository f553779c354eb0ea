// A file from an HTTP server, to disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "builder/source/source_secret.h"
#include "http/retry.h"
#include "http/transport.h"
#include "oci/digest.h"

namespace imagebuild::builder {

struct DownloadRequest {
  std::string url;
  std::string sha256;                       // 64 hexadecimal digits; empty: not checked.
  std::optional<WebCredential> credential;  // Basic, or a bearer token without a user name.
  std::filesystem::path file;               // Where it goes; overwritten.
  std::uint64_t max_bytes = 64ULL << 30;
  // What somebody can do whom the server asks for credentials.
  std::string credentials_hint = "name a Secret in secretRef";
  http::RetryPolicy retry = {};
  http::RetrySeams seams = {};
};

struct Downloaded {
  oci::Digest digest;
  std::int64_t modified_s = 0;  // Last-Modified; 0 when the server does not say.
};

// Follows at most ten redirects; the credential goes to the URL's own origin only, and a download without sha256 is not
// led from https to http. What is on disk after an error is to be thrown away. kNotFound, kDenied, kUnavailable (after
// the retries), kLimit; kInvalidInput for another sha256.
Result<Downloaded> download(const DownloadRequest& request, http::HttpTransport& transport, std::stop_token stop);

}  // namespace imagebuild::builder
