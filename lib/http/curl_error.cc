#include "http/curl_error.h"

#include <system_error>

namespace imagebuild::http {
namespace {

using std::chrono::milliseconds;

// The X509_V_ERR_* values of OpenSSL that people meet (openssl-verification-options(1)).
constexpr long kNotYetValid = 9, kExpired = 10, kSelfSigned = 18, kSelfSignedInChain = 19, kNoIssuer = 20,
               kNoIssuerOfLeaf = 21, kHostMismatch = 62, kAddressMismatch = 64;

Error unavailable(std::string message) {
  return {ErrorCode::kUnavailable, std::move(message)};
}

std::string seconds_text(milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + " s" : std::to_string(count) + " ms";
}

Error certificate_error(const std::string& host, long verify_result, std::string_view detail) {
  std::string reason;
  switch (verify_result) {
    case kExpired:
      reason = "has expired";
      break;
    case kNotYetValid:
      reason = "is not valid yet (is this machine's clock right?)";
      break;
    case kSelfSigned:
    case kSelfSignedInChain:
    case kNoIssuer:
    case kNoIssuerOfLeaf:
      reason = "is signed by an authority that is not trusted here; add its CA certificate to the registry's settings";
      break;
    case kHostMismatch:
    case kAddressMismatch:
      reason = "is for another host name";
      break;
    default:
      reason = detail.find("subject name") != detail.npos ? "is for another host name"
                                                          : "was refused: " + std::string(detail);
  }
  return {ErrorCode::kDenied, "cannot trust " + host + ": its TLS certificate " + reason};
}

}  // namespace

Error curl_failure(CURL* easy, CURLcode code, const CurlAttempt& attempt) {
  const std::string& host = attempt.host;
  long verify_result = 0, os_error = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
  const std::string why = os_error != 0 ? ": " + std::generic_category().message(static_cast<int>(os_error)) : "";
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return unavailable("cannot find the host " + host + " (the name lookup failed)");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return unavailable("cannot find the proxy for " + host + " (the name lookup failed)");
    case CURLE_COULDNT_CONNECT:
      return unavailable("cannot connect to " + host + why);
    case CURLE_OPERATION_TIMEDOUT:
      return unavailable("cannot connect to " + host + " within " + seconds_text(attempt.connect));
    case CURLE_GOT_NOTHING:
      return unavailable(host + " closed the connection without an answer");
    case CURLE_SEND_ERROR:
      return unavailable("the connection to " + host + " broke while sending" + why);
    case CURLE_RECV_ERROR:
      return unavailable("the connection to " + host + " broke while receiving" + why);
    case CURLE_PARTIAL_FILE:
      return unavailable(host + " closed the connection in the middle of its answer");
    case CURLE_PEER_FAILED_VERIFICATION:
      return certificate_error(host, verify_result, attempt.detail);
    case CURLE_SSL_CACERT_BADFILE:
      return {ErrorCode::kInvalidInput, "cannot use '" + attempt.ca_file.string() + "' as the CA file for " + host};
    case CURLE_SSL_CONNECT_ERROR:
      if (attempt.detail.find("wrong version number") != std::string_view::npos) {
        return {ErrorCode::kInvalidInput,
                host + " does not speak TLS; if it is a plain-HTTP registry, mark it insecure"};
      }
      return unavailable("the TLS handshake with " + host + " failed: " + std::string(attempt.detail));
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return unavailable(host + " did not answer in HTTP");
    default:
      return unavailable("the exchange with " + host + " failed: " + curl_easy_strerror(code));
  }
}

Error too_silent(const std::string& host, milliseconds idle) {
  return unavailable(host + " moved no byte for " + seconds_text(idle));
}

}  // namespace imagebuild::http
