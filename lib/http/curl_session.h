// One HTTP exchange over libcurl (which only the files named curl_* know), and the connection it leaves behind. A
// CurlSession is an easy handle with a multi handle of its own, and so with its own connections: libcurl's shared
// connection cache is not safe between threads, a pool of sessions is.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "http/curl_transport.h"

namespace imagebuild::http {

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// For one thread at a time. Usable again after each exchange, and best for the same origin: it keeps the connection.
class CurlSession {
 public:
  CurlSession();
  CurlSession(const CurlSession&) = delete;
  CurlSession& operator=(const CurlSession&) = delete;
  ~CurlSession();

  bool usable() const { return multi_ && easy_; }
  const std::string& origin() const { return origin_; }
  // The answer up to its header; its body is null, as read() is what brings it.
  Result<Response> start(const Request& request, const CurlOptions& options, std::stop_token stop);
  // The next bytes of the answer's body; 0 at its end.
  Result<std::size_t> read(std::span<std::byte> buffer);
  // Ends the exchange; a connection with an unread rest is closed, another one kept for the next.
  void finish();

 private:
  struct Exchange {
    std::string host;
    std::filesystem::path ca_file;
    std::optional<RequestBody> body;
    std::unique_ptr<ByteSource> source;
    std::uint64_t sent_bytes = 0;
    Timeouts timeouts;
    std::stop_token stop;
    std::unique_ptr<curl_slist, SlistDeleter> fields;
    std::array<char, CURL_ERROR_SIZE> detail{};
    int status = 0;
    Headers headers;
    std::size_t header_bytes = 0;
    bool header_done = false;
    std::vector<std::byte> pending;
    std::size_t pending_at = 0;
    bool paused = false;
    bool finished = false;
    std::optional<Error> failure;
    curl_off_t moved = 0;
    std::chrono::steady_clock::time_point last_move;
  };

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_send(char* buffer, std::size_t, std::size_t size, void* self);
  static int on_rewind(void* self, curl_off_t offset, int origin);

  template <class T>
  void set(CURLoption option, T value) {
    curl_easy_setopt(easy_.get(), option, value);
  }
  Status set_fields(const Headers& headers);
  void set_target(const Request& request, const CurlOptions& options);
  void set_method(const Request& request);
  Status open_source();
  Result<std::size_t> take_from_source(std::span<std::byte> buffer);
  template <class Predicate>
  Status drive_until(Predicate enough);
  void collect_outcome();
  void check_idle();

  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  std::string origin_;
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace imagebuild::http
