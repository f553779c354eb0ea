// What libcurl's failures are called towards users.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::http {

// What was asked for, and what libcurl wrote down of the failure (CURLOPT_ERRORBUFFER).
struct CurlAttempt {
  std::string host;
  std::filesystem::path ca_file;
  std::chrono::milliseconds connect;
  std::string_view detail;
};

// kUnavailable where another try may help; kDenied for certificates, kInvalidInput for settings.
Error curl_failure(CURL* easy, CURLcode code, const CurlAttempt& attempt);

// No byte went either way for so long.
Error too_silent(const std::string& host, std::chrono::milliseconds idle);

}  // namespace imagebuild::http
