#include "http/curl_session.h"

#include <csignal>
#include <cstring>
#include <ctime>

#include <algorithm>

#include "http/curl_error.h"

namespace imagebuild::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A piece is handed over whole, so up to the sum of both is in memory for one response.
constexpr std::size_t kPauseBytes = 128 * 1024;
constexpr long kPieceBytes = 128 * 1024;
constexpr std::size_t kMaxHeaderBytes = 256 * 1024;

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

}  // namespace

CurlSession::CurlSession() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
  if (multi_) curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 2L);
}

CurlSession::~CurlSession() {
  finish();
  const SigpipeBlocked guard;  // Closing a TLS connection writes to it.
  easy_.reset();
  multi_.reset();
}

std::size_t CurlSession::on_header(char* data, std::size_t, std::size_t size, void* self) {
  CurlSession& session = *static_cast<CurlSession*>(self);
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

std::size_t CurlSession::on_body(char* data, std::size_t, std::size_t size, void* self) {
  Exchange& exchange = *static_cast<CurlSession*>(self)->exchange_;
  if (exchange.pending.size() - exchange.pending_at >= kPauseBytes) {
    exchange.paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  const auto bytes = as_bytes(std::string_view(data, size));
  exchange.pending.insert(exchange.pending.end(), bytes.begin(), bytes.end());
  return size;
}

std::size_t CurlSession::on_send(char* buffer, std::size_t, std::size_t size, void* self) {
  CurlSession& session = *static_cast<CurlSession*>(self);
  auto count = session.take_from_source(std::as_writable_bytes(std::span(buffer, size)));
  session.exchange_->last_move = SteadyClock::now();  // The source's own time is not the network's.
  if (count.ok()) return *count;
  session.exchange_->failure = count.error();
  return CURL_READFUNC_ABORT;
}

int CurlSession::on_rewind(void* self, curl_off_t offset, int origin) {
  CurlSession& session = *static_cast<CurlSession*>(self);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  const Status opened = session.open_source();
  if (opened.ok()) return CURL_SEEKFUNC_OK;
  session.exchange_->failure = opened.error();
  return CURL_SEEKFUNC_FAIL;
}

Status CurlSession::open_source() {
  exchange_->sent_bytes = 0;
  ASSIGN_OR_RETURN(exchange_->source, exchange_->body->open());
  return ok();
}

// The next bytes of the request's body. Content that is longer or shorter than promised never goes out complete.
Result<std::size_t> CurlSession::take_from_source(std::span<std::byte> buffer) {
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

Status CurlSession::set_fields(const Headers& headers) {
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

void CurlSession::set_target(const Request& request, const CurlOptions& options) {
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

void CurlSession::set_method(const Request& request) {
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

Result<Response> CurlSession::start(const Request& request, const CurlOptions& options, std::stop_token stop) {
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
  set(CURLOPT_HEADERFUNCTION, &CurlSession::on_header);
  set(CURLOPT_WRITEFUNCTION, &CurlSession::on_body);
  set(CURLOPT_READFUNCTION, &CurlSession::on_send);
  set(CURLOPT_SEEKFUNCTION, &CurlSession::on_rewind);
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

Result<std::size_t> CurlSession::read(std::span<std::byte> buffer) {
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

void CurlSession::finish() {
  if (!exchange_) return;
  const SigpipeBlocked guard;
  curl_multi_remove_handle(multi_.get(), easy_.get());
  exchange_.reset();
}

template <class Predicate>
Status CurlSession::drive_until(Predicate enough) {
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

void CurlSession::collect_outcome() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    if (message->data.result == CURLE_OK) {
      exchange_->finished = true;
    } else if (!exchange_->failure) {
      exchange_->failure =
          curl_failure(easy_.get(), message->data.result,
                       {exchange_->host, exchange_->ca_file, exchange_->timeouts.connect, exchange_->detail.data()});
    }
  }
}

void CurlSession::check_idle() {
  curl_off_t up = 0, down = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &down);
  const curl_off_t moved = up + down + static_cast<curl_off_t>(exchange_->header_bytes);
  const auto now = SteadyClock::now();
  if (moved != exchange_->moved) {
    exchange_->moved = moved;
    exchange_->last_move = now;
  } else if (now - exchange_->last_move >= exchange_->timeouts.idle) {
    exchange_->failure = too_silent(exchange_->host, exchange_->timeouts.idle);
  }
}

}  // namespace imagebuild::http
