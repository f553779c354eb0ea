// Only the files named cpprest_* know cpprestsdk. Its rules, all learned the hard way:
// - No task is dropped unobserved: an exception nobody looks at ends the process. Both continuations end in catch-all.
// - Nothing waits inside its pool; our callers wait on a condition variable of a CpprestExchange, on threads of their
// own.
// - An exception thrown in a stream buffer ends the process: PushBuffer throws nothing.
// - Bodies go to a buffer of ours that delays its promise while it is full: otherwise the whole body piles up.
// - Redirects are not followed: cpprestsdk would send the Authorization header along to another host.
// - Its one timer covers connecting, waiting and idling together, so it is set out of reach; the waits here keep time.
#include "http/cpprest_transport.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <cstdlib>

#include "http/cpprest_exchange.h"
#include "http/cpprest_tls.h"

namespace imagebuild::http {
namespace {

namespace wire = web::http;

// The stream buffer a response is pushed into: only the writing half exists.
class PushBuffer final : public concurrency::streams::details::streambuf_state_manager<unsigned char> {
 public:
  explicit PushBuffer(std::shared_ptr<CpprestExchange> exchange)
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
  std::shared_ptr<CpprestExchange> exchange_;
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
void observe(const pplx::task<wire::http_response>& task, const std::shared_ptr<CpprestExchange>& exchange) {
  try {
    const wire::http_response answer = task.get();
    Headers headers;
    for (const auto& [name, value] : answer.headers()) headers.add(name, value);
    exchange->on_header(answer.status_code(), std::move(headers));
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
  Body(std::shared_ptr<Origin> origin, std::shared_ptr<CpprestExchange> exchange)
      : origin_(std::move(origin)), exchange_(std::move(exchange)) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() override { exchange_->abandon(); }
  Result<std::size_t> read(std::span<std::byte> buffer) override { return exchange_->read(buffer); }

 private:
  std::shared_ptr<Origin> origin_;
  std::shared_ptr<CpprestExchange> exchange_;
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
  std::shared_ptr<CpprestExchange> exchange;
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
    exchange = std::make_shared<CpprestExchange>(host, request.timeouts, origin->verdict);
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
