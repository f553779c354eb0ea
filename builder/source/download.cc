#include "builder/source/download.h"

#include <fcntl.h>

#include <charconv>
#include <utility>
#include <vector>

#include "base/file.h"
#include "builder/prepare/stoppable.h"
#include "registry/base64.h"

namespace imagebuild::builder {

namespace {

constexpr int kMostRedirects = 10;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Error too_large() {
  return Error{ErrorCode::kLimit, "it is larger than the builder downloads"};
}

// Takes at most so many bytes.
class BoundedSink final : public ByteSink {
 public:
  BoundedSink(ByteSink& next, std::uint64_t max_bytes) : next_(next), left_(max_bytes) {}
  Status write(std::span<const std::byte> bytes) override {
    if (bytes.size() > left_) return too_large();
    left_ -= bytes.size();
    return next_.write(bytes);
  }

 private:
  ByteSink& next_;
  std::uint64_t left_;
};

class Download {
 public:
  Download(const DownloadRequest& request, const http::Url& url, http::HttpTransport& transport, std::stop_token stop)
      : request_(request), url_(url), transport_(transport), stop_(std::move(stop)) {}

  Result<Downloaded> run() {
    http::Retrier retrier(request_.retry, request_.seams, stop_);
    while (true) {
      std::optional<std::chrono::milliseconds> wish;
      Result<Downloaded> file = attempt(retrier, wish);
      if (file.ok() || !retrier.again(file.error(), wish)) return file;
    }
  }

 private:
  // The host is all of the address that is shown: the rest may be a signature.
  std::string where() const { return url_.host_port(); }

  Result<Downloaded> attempt(const http::Retrier& retrier, std::optional<std::chrono::milliseconds>& wish) {
    ASSIGN_OR_RETURN(http::Response response, send());
    if (response.status != 200) {
      wish = retrier.wish_of(response);
      return refusal(response.status);
    }
    if (announced_bytes(response) > request_.max_bytes) return too_large().in("the download from " + where());
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(request_.file, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    FileSink file(std::move(fd));
    BoundedSink bounded(file, request_.max_bytes);
    oci::HashingSink hashing(bounded);
    const auto body = stoppable(std::move(response.body), stop_);
    const Result<std::uint64_t> copied = copy_stream(*body, hashing);
    if (!copied.ok()) return copied.error().in("the download from " + where());
    return Downloaded{hashing.finish(), modified(response)};
  }

  static std::uint64_t announced_bytes(const http::Response& response) {
    const std::string text = response.headers.find("Content-Length").value_or("");
    std::uint64_t bytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
    return error == std::errc::result_out_of_range ? UINT64_MAX : bytes;
  }

  static std::int64_t modified(const http::Response& response) {
    const auto time = http::parse_http_date(response.headers.find("Last-Modified").value_or(""));
    return time ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count() : 0;
  }

  Result<http::Response> send() {
    http::Url url = url_;
    for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
      http::Request get{.url = url};
      if (request_.credential && url.origin() == url_.origin()) {
        get.headers.set("Authorization", authorization(*request_.credential));
      }
      ASSIGN_OR_RETURN(http::Response response, transport_.send(get, stop_));
      if (!is_redirect(response.status)) return response;
      const std::optional<std::string> location = response.headers.find("Location");
      if (!location) return Error{ErrorCode::kInvalidInput, where() + " redirects without saying where to"};
      Result<http::Url> next = url.resolve(*location);
      if (!next.ok()) return next.error().in(where() + " redirects to an address that is not one");
      if (url.scheme() == "https" && next->scheme() == "http" && request_.sha256.empty()) {
        return Error{ErrorCode::kDenied, where() +
                                             " redirects from https to http; say the checksum of the content, "
                                             "or name an address that does not"};
      }
      url = std::move(*next);
    }
    return Error{ErrorCode::kInvalidInput,
                 where() + " redirects more than " + std::to_string(kMostRedirects) + " times"};
  }

  static std::string authorization(const WebCredential& credential) {
    if (credential.username.empty()) return "Bearer " + credential.password;
    return "Basic " + registry::base64_encode(credential.username + ":" + credential.password);
  }

  Error refusal(int status) const {
    const std::string answer = " (status " + std::to_string(status) + ")";
    if (status == 401 || status == 403) {
      return {ErrorCode::kDenied, request_.credential
                                      ? where() + " refused the credentials" + answer
                                      : where() + " wants credentials: " + request_.credentials_hint + answer};
    }
    if (status == 404 || status == 410) return {ErrorCode::kNotFound, "there is no such file on " + where() + answer};
    if (http::is_transient(status) || status >= 500) return {ErrorCode::kUnavailable, where() + " failed" + answer};
    return {ErrorCode::kInvalidInput, where() + " did not give the file" + answer};
  }

  const DownloadRequest& request_;
  const http::Url& url_;
  http::HttpTransport& transport_;
  std::stop_token stop_;
};

}  // namespace

Result<Downloaded> download(const DownloadRequest& request, http::HttpTransport& transport, std::stop_token stop) {
  ASSIGN_OR_RETURN(const http::Url url, http::Url::parse(request.url));
  ASSIGN_OR_RETURN(Downloaded file, Download(request, url, transport, std::move(stop)).run());
  if (request.sha256.empty() || file.digest.hex() == request.sha256) return file;
  return Error{ErrorCode::kInvalidInput, "the file from " + url.host_port() + " has the sha256 " +
                                             std::string(file.digest.hex()) + ", not " + request.sha256 +
                                             " as it should"};
}

}  // namespace imagebuild::builder
