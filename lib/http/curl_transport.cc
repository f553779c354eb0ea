// The only file that knows libcurl. A Session is an easy handle with a multi handle of its own, and so with its own
// connections: libcurl's shared connection cache is not safe between threads, a pool of sessions is.
#include "http/curl_transport.h"

#include <curl/curl.h>
#include <csignal>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <system_error>
#include <vector>

namespace imagebuild::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A piece is handed over whole, so up to the sum of both is in memory for one response.
constexpr std::size_t kPauseBytes = 128 * 1024;
constexpr long kPieceBytes = 128 * 1024;
constexpr std::size_t kMaxHeaderBytes = 256 * 1024;

// The X509_V_ERR_* values of OpenSSL that people meet (openssl-verification-options(1)).
constexpr long kNotYetValid = 9, kExpired = 10, kSelfSigned = 18, kSelfSignedInChain = 19, kNoIssuer = 20,
               kNoIssuerOfLeaf = 21, kHostMismatch = 62, kAddressMismatch = 64;

// Keeps a closed TLS connection from killing the process, without touching its signal handlers.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    sigset_t pending;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    const timespec at_once{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

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

// ---------------------------------------------------------------------------------------------- one HTTP exchange
class Session {
 public:
  Session() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (multi_) curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 2L);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    finish();
    const SigpipeBlocked guard;  // Closing a TLS connection writes to it.
    easy_.reset();
    multi_.reset();
  }

  bool usable() const { return multi_ && easy_; }
  const std::string& origin() const { return origin_; }
  Result<Response> start(const Request& request, const CurlOptions& options, std::stop_token stop);
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
    SteadyClock::time_point last_move;
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
  Error translate(CURLcode code) const;

  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  std::string origin_;
  std::unique_ptr<Exchange> exchange_;
};

std::size_t Session::on_header(char* data, std::size_t, std::size_t size, void* self) {
  Session& session = *static_cast<Session*>(self);
  Exchange& exchange = *session.exchange_;
  exchange.header_bytes += size;
  if (exchange.header_bytes > kMaxHeaderBytes) {
    exchange.failure = Error{ErrorCode::kLimit, exchange.host + " sent a header of more than 256 KiB"};
    return 0;
  }
  if (exchange.header_done) return size;  // A trailer behind a chunked body.
  std::string_view line(data, size);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(session.easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    exchange.status = static_cast<int>(status);
    exchange.header_done = status >= 200;
    if (!exchange.header_done) exchange.headers.clear();
    return size;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) return size;  // The status line.
  const std::string_view name = line.substr(0, colon);
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  exchange.headers.add(std::string(name), std::string(line));
  return size;
}

std::size_t Session::on_body(char* data, std::size_t, std::size_t size, void* self) {
  Exchange& exchange = *static_cast<Session*>(self)->exchange_;
  if (exchange.pending.size() - exchange.pending_at >= kPauseBytes) {
    exchange.paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  const auto bytes = as_bytes(std::string_view(data, size));
  exchange.pending.insert(exchange.pending.end(), bytes.begin(), bytes.end());
  return size;
}

std::size_t Session::on_send(char* buffer, std::size_t, std::size_t size, void* self) {
  Session& session = *static_cast<Session*>(self);
  auto count = session.take_from_source(std::as_writable_bytes(std::span(buffer, size)));
  session.exchange_->last_move = SteadyClock::now();  // The source's own time is not the network's.
  if (count.ok()) return *count;
  session.exchange_->failure = count.error();
  return CURL_READFUNC_ABORT;
}

int Session::on_rewind(void* self, curl_off_t offset, int origin) {
  Session& session = *static_cast<Session*>(self);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  const Status opened = session.open_source();
  if (opened.ok()) return CURL_SEEKFUNC_OK;
  session.exchange_->failure = opened.error();
  return CURL_SEEKFUNC_FAIL;
}

Status Session::open_source() {
  exchange_->sent_bytes = 0;
  ASSIGN_OR_RETURN(exchange_->source, exchange_->body->open());
  return ok();
}

// The next bytes of the request's body. Content that is longer or shorter than promised never goes out complete.
Result<std::size_t> Session::take_from_source(std::span<std::byte> buffer) {
  const auto size = exchange_->body->size_bytes;
  const std::uint64_t left = size ? *size - exchange_->sent_bytes : UINT64_MAX;
  if (left == 0) return std::size_t{0};
  buffer = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left)));
  ASSIGN_OR_RETURN(const std::size_t count, exchange_->source->read(buffer));
  exchange_->sent_bytes += count;
  if (!size) return count;
  if (count == 0) {
    return Error{ErrorCode::kCorrupt, "the content to send ended after " + std::to_string(exchange_->sent_bytes) +
                                          " of " + std::to_string(*size) + " bytes"};
  }
  if (count == left) {
    std::array<std::byte, 1> more{};
    ASSIGN_OR_RETURN(const std::size_t excess, exchange_->source->read(more));
    if (excess > 0) {
      return Error{ErrorCode::kCorrupt, "the content to send is longer than " + std::to_string(*size) + " bytes"};
    }
  }
  return count;
}

Status Session::set_fields(const Headers& headers) {
  curl_slist* list = nullptr;
  for (const auto& [name, value] : headers) {
    if (name.find_first_of("\r\n:") != name.npos || value.find_first_of("\r\n") != value.npos) {
      curl_slist_free_all(list);
      return Error{ErrorCode::kInvalidInput,
                   "the header '" + name.substr(0, name.find_first_of("\r\n")) + "' has a line break in its value"};
    }
    list = curl_slist_append(list, value.empty() ? (name + ";").c_str() : (name + ": " + value).c_str());
  }
  exchange_->fields.reset(list);
  set(CURLOPT_HTTPHEADER, list);
  return ok();
}

void Session::set_target(const Request& request, const CurlOptions& options) {
  const Url& url = request.url;
  set(CURLOPT_URL, url.str().c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.timeouts.connect.count()));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  const std::string& proxy = url.scheme() == "https" ? options.proxy.for_https : options.proxy.for_http;
  set(CURLOPT_PROXY, is_loopback(url.host()) ? "" : proxy.c_str());
  set(CURLOPT_NOPROXY, options.proxy.except.c_str());
  auto trust = options.trust.find(url.host() + ":" + std::to_string(url.port()));
  if (trust == options.trust.end()) trust = options.trust.find(url.host_port());
  if (trust == options.trust.end()) trust = options.trust.find(url.host());
  if (trust == options.trust.end()) return;
  if (!trust->second.ca_file.empty()) {
    exchange_->ca_file = trust->second.ca_file;
    set(CURLOPT_CAINFO, trust->second.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  if (trust->second.skip_verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void Session::set_method(const Request& request) {
  const bool wants_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.body || wants_body) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    const bool chunked = request.body && !request.body->size_bytes;
    const std::uint64_t size = request.body ? request.body->size_bytes.value_or(0) : 0;
    set(CURLOPT_INFILESIZE_LARGE, chunked ? curl_off_t{-1} : static_cast<curl_off_t>(size));
    set(CURLOPT_UPLOAD_BUFFERSIZE, 2 * kPieceBytes);
  } else if (request.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

Result<Response> Session::start(const Request& request, const CurlOptions& options, std::stop_token stop) {
  finish();
  curl_easy_reset(easy_.get());
  exchange_ = std::make_unique<Exchange>();
  origin_ = request.url.origin();
  exchange_->host = request.url.host_port();
  exchange_->timeouts = request.timeouts;
  exchange_->stop = std::move(stop);
  exchange_->body = request.body ? request.body : RequestBody::of({});
  RETURN_IF_ERROR(open_source());
  set_target(request, options);
  set_method(request);
  RETURN_IF_ERROR(set_fields(request.headers));
  set(CURLOPT_BUFFERSIZE, kPieceBytes);
  set(CURLOPT_ERRORBUFFER, exchange_->detail.data());
  set(CURLOPT_HEADERFUNCTION, &Session::on_header);
  set(CURLOPT_WRITEFUNCTION, &Session::on_body);
  set(CURLOPT_READFUNCTION, &Session::on_send);
  set(CURLOPT_SEEKFUNCTION, &Session::on_rewind);
  for (const auto option : {CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA}) {
    set(option, static_cast<void*>(this));
  }
  if (curl_multi_add_handle(multi_.get(), easy_.get()) != CURLM_OK) {
    return Error{ErrorCode::kInternal, "libcurl refused a request"};
  }
  // While a body goes out, wait for the end of the answer too (or as much of it as the buffer holds): only driving the
  // handle sends.
  const bool sending = request.body && request.body->size_bytes.value_or(1) > 0;
  const Exchange& exchange = *exchange_;
  const Status driven = drive_until([&] { return exchange.header_done && (!sending || exchange.paused); });
  // A server that refuses early and hangs up may break the sending; what it said counts.
  const bool refused = exchange.header_done && exchange.status >= 300 && !exchange.stop.stop_requested();
  if (!driven.ok() && !refused) return driven.error();
  return Response{.status = exchange.status, .headers = exchange.headers, .body = nullptr};
}

Result<std::size_t> Session::read(std::span<std::byte> buffer) {
  Exchange& exchange = *exchange_;
  if (exchange.stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  if (exchange.pending_at == exchange.pending.size()) {
    exchange.pending.clear();
    exchange.pending_at = 0;
    if (exchange.paused) {
      exchange.paused = false;
      const SigpipeBlocked guard;
      curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
    }
    const Status driven = drive_until([&] { return !exchange.pending.empty(); });
    if (exchange.pending.empty()) {
      if (!driven.ok()) return driven.error();
      return std::size_t{0};
    }
  }
  const std::size_t count = std::min(buffer.size(), exchange.pending.size() - exchange.pending_at);
  std::memcpy(buffer.data(), exchange.pending.data() + exchange.pending_at, count);
  exchange.pending_at += count;
  return count;
}

void Session::finish() {
  if (!exchange_) return;
  const SigpipeBlocked guard;
  curl_multi_remove_handle(multi_.get(), easy_.get());
  exchange_.reset();
}

template <class Predicate>
Status Session::drive_until(Predicate enough) {
  Exchange& exchange = *exchange_;
  const SigpipeBlocked guard;
  exchange.last_move = SteadyClock::now();
  const std::stop_callback wake(exchange.stop, [this] { curl_multi_wakeup(multi_.get()); });
  while (!enough()) {
    if (exchange.failure) return *exchange.failure;
    if (exchange.finished) return ok();
    if (exchange.stop.stop_requested()) {
      exchange.failure = Error{ErrorCode::kCancelled, "stopped"};
      continue;
    }
    int running = 0;
    curl_multi_perform(multi_.get(), &running);
    collect_outcome();
    if (exchange.finished || exchange.failure || enough()) continue;
    check_idle();
    curl_multi_poll(multi_.get(), nullptr, 0, exchange.failure ? 0 : 250, nullptr);
  }
  return ok();
}

void Session::collect_outcome() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    if (message->data.result == CURLE_OK) {
      exchange_->finished = true;
    } else if (!exchange_->failure) {
      exchange_->failure = translate(message->data.result);
    }
  }
}

void Session::check_idle() {
  curl_off_t up = 0, down = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &down);
  const curl_off_t moved = up + down + static_cast<curl_off_t>(exchange_->header_bytes);
  const auto now = SteadyClock::now();
  if (moved != exchange_->moved) {
    exchange_->moved = moved;
    exchange_->last_move = now;
  } else if (now - exchange_->last_move >= exchange_->timeouts.idle) {
    exchange_->failure = unavailable(exchange_->host + " moved no byte for " + seconds_text(exchange_->timeouts.idle));
  }
}

Error Session::translate(CURLcode code) const {
  const std::string& host = exchange_->host;
  const std::string_view detail(exchange_->detail.data());
  long verify_result = 0, os_error = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &verify_result);
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
  const std::string why = os_error != 0 ? ": " + std::generic_category().message(static_cast<int>(os_error)) : "";
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return unavailable("cannot find the host " + host + " (the name lookup failed)");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return unavailable("cannot find the proxy for " + host + " (the name lookup failed)");
    case CURLE_COULDNT_CONNECT:
      return unavailable("cannot connect to " + host + why);
    case CURLE_OPERATION_TIMEDOUT:
      return unavailable("cannot connect to " + host + " within " + seconds_text(exchange_->timeouts.connect));
    case CURLE_GOT_NOTHING:
      return unavailable(host + " closed the connection without an answer");
    case CURLE_SEND_ERROR:
      return unavailable("the connection to " + host + " broke while sending" + why);
    case CURLE_RECV_ERROR:
      return unavailable("the connection to " + host + " broke while receiving" + why);
    case CURLE_PARTIAL_FILE:
      return unavailable(host + " closed the connection in the middle of its answer");
    case CURLE_PEER_FAILED_VERIFICATION:
      return certificate_error(host, verify_result, detail);
    case CURLE_SSL_CACERT_BADFILE:
      return {ErrorCode::kInvalidInput, "cannot use '" + exchange_->ca_file.string() + "' as the CA file for " + host};
    case CURLE_SSL_CONNECT_ERROR:
      if (detail.find("wrong version number") != detail.npos) {
        return {ErrorCode::kInvalidInput,
                host + " does not speak TLS; if it is a plain-HTTP registry, mark it insecure"};
      }
      return unavailable("the TLS handshake with " + host + " failed: " + std::string(detail));
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return unavailable(host + " did not answer in HTTP");
    default:
      return unavailable("the exchange with " + host + " failed: " + curl_easy_strerror(code));
  }
}

// ------------------------------------------------------------------------------------------------ pool and transport
struct CurlTransport::Pool {
  explicit Pool(CurlOptions given) : options(std::move(given)) {}

  // The session that talked to `origin` last, else a new one.
  std::unique_ptr<Session> take(const std::string& origin) {
    const std::lock_guard lock(mutex);
    const auto found = std::find_if(idle.rbegin(), idle.rend(), [&](const auto& s) { return s->origin() == origin; });
    if (found == idle.rend()) return std::make_unique<Session>();
    auto session = std::move(*found);
    idle.erase(std::next(found).base());
    return session;
  }
  void put(std::unique_ptr<Session> session) {
    session->finish();
    std::unique_ptr<Session> oldest;  // Closed after the lock is released.
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(session));
    if (idle.size() <= options.max_idle_connections) return;
    oldest = std::move(idle.front());
    idle.erase(idle.begin());
  }

  const CurlOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<Session>> idle;
};

class CurlTransport::Body final : public ByteSource {
 public:
  Body(std::shared_ptr<Pool> pool, std::unique_ptr<Session> session)
      : pool_(std::move(pool)), session_(std::move(session)) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() override { pool_->put(std::move(session_)); }
  Result<std::size_t> read(std::span<std::byte> buffer) override { return session_->read(buffer); }

 private:
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Session> session_;
};

CurlTransport::CurlTransport(CurlOptions options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  pool_ = std::make_shared<Pool>(std::move(options));
}

CurlTransport::~CurlTransport() = default;

Result<Response> CurlTransport::send(const Request& request, std::stop_token stop) {
  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  auto session = pool_->take(request.url.origin());
  if (!session->usable()) return Error{ErrorCode::kInternal, "libcurl could not be started"};
  auto response = session->start(request, pool_->options, std::move(stop));
  if (!response.ok()) {
    pool_->put(std::move(session));
    return response;
  }
  response->body = std::make_unique<Body>(pool_, std::move(session));
  return response;
}

}  // namespace imagebuild::http
