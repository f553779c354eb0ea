// The only file that knows cpprestsdk. Its rules, all learned the hard way:
// - No task is dropped unobserved: an exception nobody looks at ends the process. Both continuations end in catch-all.
// - Nothing waits inside its pool; our callers wait on a condition variable of an Exchange, on threads of their own.
// - An exception thrown in a stream buffer ends the process: PushBuffer throws nothing.
// - Bodies go to a buffer of ours that delays its promise while it is full: otherwise the whole body piles up.
// - Redirects are not followed: cpprestsdk would send the Authorization header along to another host.
// - Its one timer covers connecting, waiting and idling together, so it is set out of reach; the waits here keep time.
#include "http/cpprest_transport.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <boost/asio/ssl.hpp>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>

namespace imagebuild::http {
namespace {

namespace wire = web::http;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kPauseBytes = 256 * 1024;
constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";

Error unavailable(std::string message) {
  return {ErrorCode::kUnavailable, std::move(message)};
}

std::string seconds_text(milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + " s" : std::to_string(count) + " ms";
}

// Why the last handshake with an origin failed: cpprestsdk says only "Error in SSL handshake".
class TlsVerdict {
 public:
  // What is wrong with our own certificates.
  void set_unusable(std::string reason) {
    const std::lock_guard lock(mutex_);
    unusable_ = std::move(reason);
  }
  std::string unusable() const {
    const std::lock_guard lock(mutex_);
    return unusable_;
  }
  // Why the server's certificate was refused; empty: it was not.
  void set(std::string reason) {
    const std::lock_guard lock(mutex_);
    reason_ = std::move(reason);
  }
  std::string get() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  mutable std::mutex mutex_;
  std::string reason_, unusable_;
};

// ------------------------------------------------------------------------------------- TLS, by OpenSSL through asio
using VerdictHolder = std::shared_ptr<TlsVerdict>;

void free_verdict(void*, void* holder, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<VerdictHolder*>(holder);
}

int verdict_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_verdict);
  return index;
}

std::string reason_text(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "is not valid yet (is this machine's clock right?)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // Another authority of the same name.
      return "is signed by an authority that is not trusted here";
    case X509_V_OK:
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_UNSPECIFIED:
      return "is for another host name";  // The check of the name is asio's, which sets no reason.
    default:
      return std::string("was refused: ") + X509_verify_cert_error_string(error);
  }
}

int verify_and_remember(X509_STORE_CTX* store, void*) {
  const int good = X509_verify_cert(store);
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* holder = static_cast<VerdictHolder*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), verdict_index()));
  if (holder != nullptr) (*holder)->set(good == 1 ? "" : reason_text(X509_STORE_CTX_get_error(store)));
  return good;
}

// Called for each new connection; what it throws becomes the request's error.
void prepare_tls(boost::asio::ssl::context& context, const CpprestOptions& options, const VerdictHolder& verdict) {
  using boost::asio::buffer;
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  if (!options.skip_verify) {
    if (options.ca_pem.empty()) {
      boost::system::error_code ignored;  // Without a bundle nothing is trusted, and the handshake says so.
      context.load_verify_file(kSystemBundle, ignored);
    } else {
      SSL_CTX_set_cert_store(native, X509_STORE_new());
      context.add_certificate_authority(buffer(options.ca_pem));
    }
    SSL_CTX_set_ex_data(native, verdict_index(), new VerdictHolder(verdict));
    SSL_CTX_set_cert_verify_callback(native, verify_and_remember, nullptr);
  }
  if (options.client_cert_pem.empty()) return;
  context.use_certificate_chain(buffer(options.client_cert_pem));
  context.use_private_key(buffer(options.client_key_pem), boost::asio::ssl::context::pem);
}

// --------------------------------------------------------------------------------------- one exchange, between threads
// Filled by cpprestsdk's threads, waited for by ours. Its promise for a full buffer is fulfilled outside the lock:
// cpprestsdk may run on in the same call.
class Exchange {
 public:
  Exchange(std::string host, Timeouts timeouts, std::shared_ptr<TlsVerdict> verdict)
      : host_(std::move(host)), timeouts_(timeouts), verdict_(std::move(verdict)) {}

  // ---- for cpprestsdk's threads
  void on_progress() {
    const std::lock_guard lock(mutex_);
    connected_ = true;
    last_move_ = SteadyClock::now();
    changed_.notify_all();
  }
  void on_header(const wire::http_response& answer) {
    const std::lock_guard lock(mutex_);
    status_ = answer.status_code();
    for (const auto& [name, value] : answer.headers()) headers_.add(name, value);
    header_done_ = true;
    last_move_ = SteadyClock::now();
    changed_.notify_all();
  }
  // Takes a copy; the promise is fulfilled when there is room for more. What comes after abandon() is dropped, and ends
  // the exchange here, where no read is under way: a failed task would make cpprestsdk wait, on a thread of its pool,
  // for another one of them.
  pplx::task<std::size_t> on_bytes(const unsigned char* data, std::size_t size) {
    std::unique_lock lock(mutex_);
    if (abandoned_) {
      cut_ = true;
      changed_.notify_all();
      lock.unlock();
      cancel_.cancel();
      return pplx::task_from_result(size);
    }
    pending_.append(reinterpret_cast<const char*>(data), size);
    last_move_ = SteadyClock::now();
    changed_.notify_all();
    if (pending_.size() - pending_at_ < kPauseBytes) return pplx::task_from_result(size);
    room_.emplace();
    room_size_ = size;
    return pplx::create_task(*room_);
  }
  void on_end() {
    const std::lock_guard lock(mutex_);
    finished_ = cut_ = true;
    changed_.notify_all();
  }
  void on_failure(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = translate(what);
    cut_ = true;
    changed_.notify_all();
  }

  // ---- for the thread that sends or reads
  Result<Response> wait_for_header(std::stop_token stop) {
    const std::stop_callback wake(stop, [this] { notify(); });
    std::unique_lock lock(mutex_);
    stop_ = std::move(stop);
    const auto began = last_move_ = SteadyClock::now();
    while (!header_done_) {
      if (stop_.stop_requested()) return give_up(lock, {ErrorCode::kCancelled, "stopped"});
      if (failure_) return *failure_;
      const auto deadline = connected_ ? last_move_ + timeouts_.idle : began + timeouts_.connect;
      if (SteadyClock::now() >= deadline) return give_up(lock, too_slow());
      changed_.wait_until(lock, deadline);
    }
    return Response{.status = status_, .headers = headers_, .body = nullptr};
  }

  Result<std::size_t> read(std::span<std::byte> buffer) {
    const std::stop_callback wake(stop_, [this] { notify(); });
    std::unique_lock lock(mutex_);
    last_move_ = SteadyClock::now();
    while (true) {
      if (stop_.stop_requested()) return give_up(lock, {ErrorCode::kCancelled, "stopped"});
      if (pending_at_ < pending_.size()) break;
      if (failure_) return *failure_;
      if (finished_) return std::size_t{0};
      const auto deadline = last_move_ + timeouts_.idle;
      if (SteadyClock::now() >= deadline) return give_up(lock, too_slow());
      changed_.wait_until(lock, deadline);
    }
    const std::size_t count = std::min(buffer.size(), pending_.size() - pending_at_);
    std::memcpy(buffer.data(), pending_.data() + pending_at_, count);
    pending_at_ += count;
    if (pending_at_ == pending_.size()) {
      pending_.clear();
      pending_at_ = 0;
      release(lock);
    }
    return count;
  }

  // Ends the exchange if it is not over: nobody will read any more. To cancel closes the socket, which cpprestsdk must
  // not be about to read from on a thread of its own. So while it waits for room we cancel first; where bytes come,
  // on_bytes() does; and what has been silent for a while is only waiting.
  void abandon() {
    constexpr std::chrono::milliseconds kSilence{20};
    std::unique_lock lock(mutex_);
    if (!finished_ && !failure_) failure_ = Error{ErrorCode::kCancelled, "stopped"};
    pending_.clear();
    pending_at_ = 0;
    abandoned_ = true;
    const bool is_paused = room_.has_value();
    const bool is_cut = !is_paused && changed_.wait_for(lock, kSilence, [this] { return cut_; });
    if (is_cut) return;
    lock.unlock();
    cancel_.cancel();
    lock.lock();
    release(lock);
  }

  pplx::cancellation_token token() const { return cancel_.get_token(); }

 private:
  void notify() {
    const std::lock_guard lock(mutex_);  // Otherwise the wake-up could fall between the check and the wait.
    changed_.notify_all();
  }
  Error too_slow() const {
    if (!connected_) return unavailable("cannot connect to " + host_ + " within " + seconds_text(timeouts_.connect));
    return unavailable(host_ + " moved no byte for " + seconds_text(timeouts_.idle));
  }
  Error give_up(std::unique_lock<std::mutex>& lock, Error error) {
    if (!failure_) failure_ = error;
    lock.unlock();
    abandon();
    return error;
  }
  // Lets cpprestsdk go on. Leaves the lock released.
  void release(std::unique_lock<std::mutex>& lock) {
    const auto room = std::exchange(room_, std::nullopt);
    const std::size_t size = room_size_;
    lock.unlock();
    if (room) room->set(size);
  }
  Error translate(const std::string& what) const {
    if (const std::string unusable = verdict_->unusable(); !unusable.empty()) {
      return {ErrorCode::kInvalidInput, "cannot use the certificates or the key given for " + host_ + ": " + unusable};
    }
    if (what.find("SSL handshake") != what.npos) {
      const std::string reason = verdict_->get();
      if (reason.empty()) return unavailable("the TLS handshake with " + host_ + " failed");
      return {ErrorCode::kDenied, "cannot trust " + host_ + ": its TLS certificate " + reason};
    }
    if (header_done_) return unavailable(host_ + " closed the connection in the middle of its answer (" + what + ")");
    if (connected_) return unavailable("the connection to " + host_ + " broke before an answer came (" + what + ")");
    return unavailable("cannot connect to " + host_ + ": " + what);
  }

  const std::string host_;
  const Timeouts timeouts_;
  const std::shared_ptr<TlsVerdict> verdict_;
  pplx::cancellation_token_source cancel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::stop_token stop_;
  SteadyClock::time_point last_move_ = SteadyClock::now();
  bool connected_ = false, header_done_ = false, finished_ = false, abandoned_ = false;
  bool cut_ = false;  // cpprestsdk is done with it, or was told so.
  int status_ = 0;
  Headers headers_;
  std::optional<Error> failure_;
  std::string pending_;
  std::size_t pending_at_ = 0;
  std::optional<pplx::task_completion_event<std::size_t>> room_;
  std::size_t room_size_ = 0;
};

// The stream buffer a response is pushed into: only the writing half exists.
class PushBuffer final : public concurrency::streams::details::streambuf_state_manager<unsigned char> {
 public:
  explicit PushBuffer(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  utility::size64_t size() const override { return 0; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return none(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return none(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override { return none(); }
  bool acquire(unsigned char*& data, std::size_t& count) override {
    data = nullptr;
    count = 0;
    return false;
  }
  void release(unsigned char*, std::size_t) override {}

 protected:
  pplx::task<int_type> _putc(unsigned char byte) override {
    return exchange_->on_bytes(&byte, 1).then([byte](std::size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<std::size_t> _putn(const unsigned char* data, std::size_t count) override {
    return exchange_->on_bytes(data, count);
  }
  pplx::task<std::size_t> _putn(const unsigned char* data, std::size_t count, bool) override {
    return exchange_->on_bytes(data, count);
  }
  pplx::task<int_type> _bumpc() override { return end(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return end(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return end(); }
  pplx::task<int_type> _ungetc() override { return end(); }
  pplx::task<std::size_t> _getn(unsigned char*, std::size_t) override { return pplx::task_from_result<std::size_t>(0); }
  std::size_t _scopy(unsigned char*, std::size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  unsigned char* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}

 private:
  static pos_type none() { return static_cast<pos_type>(traits::eof()); }
  static pplx::task<int_type> end() { return pplx::task_from_result<int_type>(traits::eof()); }
  std::shared_ptr<Exchange> exchange_;
};

// The request's body, whole. Content of another size than promised is not sent.
Result<std::string> collect(const RequestBody& body) {
  constexpr std::uint64_t kMax = CpprestTransport::kMaxSentBytes;
  ASSIGN_OR_RETURN(const auto source, body.open());
  ASSIGN_OR_RETURN(std::string text, read_all(*source, std::min(body.size_bytes.value_or(kMax), kMax)));
  if (body.size_bytes && text.size() != *body.size_bytes) {
    return Error{ErrorCode::kCorrupt, "the content to send ended after " + std::to_string(text.size()) + " of " +
                                          std::to_string(*body.size_bytes) + " bytes"};
  }
  return text;
}

Status set_fields(wire::http_request& message, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (name.find_first_of("\r\n:") != name.npos || value.find_first_of("\r\n") != value.npos) {
      return Error{ErrorCode::kInvalidInput,
                   "the header '" + name.substr(0, name.find_first_of("\r\n")) + "' has a line break in its value"};
    }
    message.headers()[name] = value;
  }
  return ok();
}

std::string what_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "cancelled";
  }
}

// Hands the answer of `task` to `exchange`; every way a task can end is observed here.
void observe(const pplx::task<wire::http_response>& task, const std::shared_ptr<Exchange>& exchange) {
  try {
    const wire::http_response answer = task.get();
    exchange->on_header(answer);
    answer.content_ready().then(
        [exchange](const pplx::task<wire::http_response>& body) {
          try {
            body.get();
            exchange->on_end();
          } catch (...) {
            exchange->on_failure(what_of(std::current_exception()));
          }
        },
        pplx::cancellation_token::none());
  } catch (...) {
    exchange->on_failure(what_of(std::current_exception()));
  }
}

}  // namespace

// --------------------------------------------------------------------------------------------------------- transport
struct CpprestTransport::Origin {
  Origin(const Url& url, const CpprestOptions& options)
      : verdict(std::make_shared<TlsVerdict>()), client(url.origin(), config_for(options, verdict)) {}

  static wire::client::http_client_config config_for(const CpprestOptions& options, const VerdictHolder& verdict) {
    wire::client::http_client_config config;
    config.set_timeout(std::chrono::hours(24));
    config.set_max_redirects(0);
    config.set_validate_certificates(!options.skip_verify);
    config.set_ssl_context_callback([options, verdict](boost::asio::ssl::context& context) {
      try {
        prepare_tls(context, options, verdict);
      } catch (const std::exception& error) {
        verdict->set_unusable(error.what());
        throw;
      }
    });
    return config;
  }

  VerdictHolder verdict;
  wire::client::http_client client;
};

// Keeps what cpprestsdk works with alive, and ends the exchange when it is dropped.
class CpprestTransport::Body final : public ByteSource {
 public:
  Body(std::shared_ptr<Origin> origin, std::shared_ptr<Exchange> exchange)
      : origin_(std::move(origin)), exchange_(std::move(exchange)) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() override { exchange_->abandon(); }
  Result<std::size_t> read(std::span<std::byte> buffer) override { return exchange_->read(buffer); }

 private:
  std::shared_ptr<Origin> origin_;
  std::shared_ptr<Exchange> exchange_;
};

void prepare_process_for_cpprest(unsigned threads) {
  ::setenv("SSL_CERT_FILE", "/dev/null", 1);
  ::setenv("SSL_CERT_DIR", "/nonexistent", 1);
  crossplat::threadpool::initialize_with_threads(threads);
}

CpprestTransport::CpprestTransport(CpprestOptions options) : options_(std::move(options)) {}

CpprestTransport::~CpprestTransport() = default;

std::shared_ptr<CpprestTransport::Origin> CpprestTransport::origin_of(const Url& url) {
  const std::lock_guard lock(mutex_);
  auto& origin = origins_[url.origin()];
  if (!origin) origin = std::make_shared<Origin>(url, options_);
  return origin;
}

Result<Response> CpprestTransport::send(const Request& request, std::stop_token stop) {
  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  const std::string host = request.url.host_port();
  if (request.url.host().find(':') != std::string::npos) {
    return Error{ErrorCode::kUnsupported, "cannot connect to the IPv6 address " + host + "; use a host name instead"};
  }
  std::shared_ptr<Exchange> exchange;
  std::shared_ptr<Origin> origin;
  try {
    origin = origin_of(request.url);
    wire::http_request message(request.method);
    const std::string& query = request.url.query();
    message.set_request_uri(web::uri(request.url.path() + (query.empty() ? "" : "?" + query)));
    const bool wants_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (request.body || wants_body) {
      ASSIGN_OR_RETURN(std::string text, collect(request.body ? *request.body : RequestBody::of({})));
      message.set_body(std::move(text), "application/octet-stream");
    }
    message.headers()["User-Agent"] = options_.user_agent;
    RETURN_IF_ERROR(set_fields(message, request.headers));
    exchange = std::make_shared<Exchange>(host, request.timeouts, origin->verdict);
    const auto buffer = std::make_shared<PushBuffer>(exchange);
    message.set_response_stream(concurrency::streams::ostream(concurrency::streams::streambuf<unsigned char>(buffer)));
    message.set_progress_handler(
        [exchange](wire::message_direction::direction, utility::size64_t) { exchange->on_progress(); });
    origin->client.request(message, exchange->token())
        .then([exchange](const pplx::task<wire::http_response>& task) { observe(task, exchange); },
              pplx::cancellation_token::none());
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInvalidInput, "cannot send a request to " + host + ": " + error.what()};
  }
  auto response = exchange->wait_for_header(std::move(stop));
  if (!response.ok()) return response;
  response->body = std::make_unique<Body>(std::move(origin), std::move(exchange));
  return response;
}

}  // namespace imagebuild::http
