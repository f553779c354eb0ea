#include "operator/http_server.h"

#include <civetweb.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <set>
#include <variant>

#include "operator/connection_reaper.h"

namespace imagebuild::op {
namespace {

constexpr std::size_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kReadBytes = 64 * 1024;
// So much of a body that nobody wants is read, so that the client is done sending and reads the answer. As Go's server.
constexpr std::uint64_t kDiscardBytes = 256 * 1024;

// A body that a refused client may still be sending.
struct Unread {
  std::uint64_t bytes = 0;
  bool awaited = false;  // It comes only after "100 Continue", which was not said.
};

struct Route {
  std::string method, path;
  HttpHandler handler;
  HttpGate gate;

  bool covers(std::string_view asked) const {
    return asked == path || (path.ends_with('/') && asked.starts_with(path));
  }
};

HttpAnswer plain(int status, std::string text) {
  return {.status = status, .body = std::move(text) + "\n"};
}

HttpAnswer come_again(std::string text) {
  HttpAnswer answer = plain(503, std::move(text));
  answer.headers = {{"Retry-After", "1"}};
  return answer;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

void send(mg_connection* connection, const HttpAnswer& answer, bool with_body) {
  std::string bytes =
      "HTTP/1.1 " + std::to_string(answer.status) + " " + mg_get_response_code_text(connection, answer.status) + "\r\n";
  if (!answer.content_type.empty() && answer.status != 204) bytes += "Content-Type: " + answer.content_type + "\r\n";
  if (answer.status != 204) bytes += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
  for (const auto& [name, value] : answer.headers) bytes += name + ": " + value + "\r\n";
  bytes += "Connection: close\r\n\r\n";
  if (with_body && answer.status != 204) bytes += answer.body;
  mg_write(connection, bytes.data(), bytes.size());
}

HttpRequest head_of(const mg_request_info& info) {
  HttpRequest request;
  request.method = info.request_method;
  request.path = info.local_uri;
  if (info.query_string != nullptr) request.query = info.query_string;
  for (int i = 0; i < info.num_headers; ++i) {
    request.headers.emplace_back(info.http_headers[i].name, info.http_headers[i].value);
  }
  request.remote_address = info.remote_addr;
  return request;
}

// The bytes of the body, or the refusal of a request that does not say them once and clearly.
std::variant<std::uint64_t, HttpAnswer> body_length(const HttpRequest& request) {
  const std::string* said = nullptr;
  for (const auto& [name, value] : request.headers) {
    if (same_name(name, "Transfer-Encoding")) return plain(411, "send the body with a Content-Length");
    if (!same_name(name, "Content-Length")) continue;
    if (said != nullptr) return plain(400, "there is more than one Content-Length");
    said = &value;
  }
  if (said == nullptr) {
    if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
      return plain(411, "send the body with a Content-Length");
    }
    return std::uint64_t{0};
  }
  std::uint64_t length = 0;
  const char* end = said->data() + said->size();
  const auto [stopped, error] = std::from_chars(said->data(), end, length);
  if (error != std::errc() || stopped != end) return plain(400, "the Content-Length is no number");
  return length;
}

// False when the client is gone or too slow.
bool read_body(mg_connection* connection, std::uint64_t length, std::string& body) {
  std::string block(static_cast<std::size_t>(std::min<std::uint64_t>(length, kReadBytes)), '\0');
  while (body.size() < length) {
    const auto wanted = std::min<std::uint64_t>(block.size(), length - body.size());
    const int got = mg_read(connection, block.data(), static_cast<std::size_t>(wanted));
    if (got <= 0) return false;
    body.append(block, 0, static_cast<std::size_t>(got));
  }
  return true;
}

// True if that was all of it.
bool discard(mg_connection* connection, const Unread& unread) {
  if (unread.awaited) return unread.bytes == 0;
  std::string dropped;
  return read_body(connection, std::min(unread.bytes, kDiscardBytes), dropped) && unread.bytes <= kDiscardBytes;
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name)) return value;
  }
  return {};
}

struct HttpServer::State {
  explicit State(Options given) : options(std::move(given)) {}

  class Handling;

  // civetweb's callbacks.
  static State& of(const mg_connection* connection) {
    return *static_cast<State*>(mg_get_user_data(mg_get_context(connection)));
  }
  static int begin_request(mg_connection* connection);
  static int log_message(const mg_connection* connection, const char* message);
  static int http_error(mg_connection* connection, int status, const char* message);

  HttpAnswer answer(mg_connection* connection, HttpRequest& request, Unread& unread);
  HttpAnswer answer_clear(mg_connection* connection, HttpRequest& request, Unread& unread);
  const Route* find(const HttpRequest& request, std::string& allowed) const;

  void drain();
  void end(const std::string& peer);

  const Options options;
  std::vector<Route> routes;
  mg_context* context = nullptr;
  std::unique_ptr<ConnectionReaper> reaper;

  std::mutex mutex;
  std::condition_variable idle;
  std::multiset<std::string> handled;  // The peers whose requests are being handled.
  std::uint64_t pending_bytes = 0;
  bool draining = false;
  std::string last_message;  // Of civetweb, while it starts.
};

namespace {

// Takes a part of a budget for as long as it lives.
class Share {
 public:
  Share(std::mutex& mutex, std::uint64_t& used, std::uint64_t wanted, std::uint64_t limit)
      : mutex_(mutex), used_(used), wanted_(wanted) {
    const std::lock_guard lock(mutex_);
    granted_ = used_ <= limit && wanted_ <= limit - used_;
    if (granted_) used_ += wanted_;
  }
  ~Share() {
    if (!granted_) return;
    const std::lock_guard lock(mutex_);
    used_ -= wanted_;
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  bool granted() const { return granted_; }

 private:
  std::mutex& mutex_;
  std::uint64_t& used_;
  const std::uint64_t wanted_;
  bool granted_ = false;
};

}  // namespace

// While a request is handled, its peer is in the set.
class HttpServer::State::Handling {
 public:
  Handling(State& state, std::string peer) : state_(state) {
    const std::lock_guard lock(state_.mutex);
    refused_ = state_.draining;
    place_ = state_.handled.insert(std::move(peer));
  }
  ~Handling() {
    const std::lock_guard lock(state_.mutex);
    state_.handled.erase(place_);
    state_.idle.notify_all();
  }
  Handling(const Handling&) = delete;
  Handling& operator=(const Handling&) = delete;
  bool refused() const { return refused_; }

 private:
  State& state_;
  std::multiset<std::string>::iterator place_;
  bool refused_ = false;
};

// Answers every request, so that civetweb never looks for files. Nothing may be thrown into its C code.
int HttpServer::State::begin_request(mg_connection* connection) {
  State& state = of(connection);
  const mg_request_info* info = mg_get_request_info(connection);
  if (info == nullptr || info->local_uri == nullptr || info->request_method == nullptr) return 0;
  try {
    const std::string peer = std::string(info->remote_addr) + " " + std::to_string(info->remote_port);
    Unread unread;
    HttpAnswer given;
    {
      const Handling handling(state, peer);
      HttpRequest request = head_of(*info);
      given = handling.refused() ? come_again(state.options.name + " is shutting down")
                                 : state.answer(connection, request, unread);
      send(connection, given, request.method != "HEAD");
    }
    // civetweb would read on to the end of the body, however far that is.
    if (!discard(connection, unread)) state.end(peer);
    return given.status;
  } catch (...) {  // Out of memory: the connection is closed.
    return 500;
  }
}

void HttpServer::State::end(const std::string& peer) {
  ConnectionReaper* known = nullptr;
  {
    const std::lock_guard lock(mutex);
    known = reaper.get();
  }
  if (known != nullptr) known->end(peer);
}

HttpAnswer HttpServer::State::answer(mg_connection* connection, HttpRequest& request, Unread& unread) {
  try {
    unread.awaited = same_name(request.header("Expect"), "100-continue");
    const auto length = body_length(request);
    if (const auto* refusal = std::get_if<HttpAnswer>(&length)) {
      unread.bytes = kDiscardBytes;
      return *refusal;
    }
    unread.bytes = *std::get_if<std::uint64_t>(&length);
    return answer_clear(connection, request, unread);
  } catch (const std::exception& error) {
    return plain(500, std::string("the request could not be handled: ") + error.what());
  } catch (...) {
    return plain(500, "the request could not be handled");
  }
}

HttpAnswer HttpServer::State::answer_clear(mg_connection* connection, HttpRequest& request, Unread& unread) {
  std::string allowed;
  const Route* route = find(request, allowed);
  if (route == nullptr && allowed.empty()) return plain(404, "there is nothing at this path");
  if (route == nullptr) {
    HttpAnswer refusal = plain(405, "this path answers to " + allowed);
    refusal.headers = {{"Allow", allowed}};
    return refusal;
  }
  if (route->gate) {
    if (std::optional<HttpAnswer> refusal = route->gate(request)) return *std::move(refusal);
  }
  const std::uint64_t length = unread.bytes;
  if (length > options.max_body_bytes) {
    return plain(413, "the body may have " + std::to_string(options.max_body_bytes) + " bytes");
  }
  const Share memory(mutex, pending_bytes, length, options.max_pending_bytes);
  if (!memory.granted()) return come_again("too many requests are being read");
  if (unread.awaited && length > 0) mg_printf(connection, "HTTP/1.1 100 Continue\r\n\r\n");
  unread.bytes = 0;
  if (!read_body(connection, length, request.body)) return plain(408, "the body did not come");
  return route->handler(request);
}

// The longest route that fits; null with the methods that the path allows, if it has any.
const Route* HttpServer::State::find(const HttpRequest& request, std::string& allowed) const {
  const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : request.method;
  const Route* best = nullptr;
  for (const Route& route : routes) {
    if (!route.covers(request.path)) continue;
    if (route.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + route.method;
    } else if (best == nullptr || route.path.size() > best->path.size()) {
      best = &route;
    }
  }
  return best;
}

int HttpServer::State::log_message(const mg_connection* connection, const char* message) {
  State& state = of(connection);
  const std::lock_guard lock(state.mutex);
  if (state.context == nullptr) state.last_message = message;
  return 1;  // It is not printed.
}

// What civetweb refuses by itself: broken and oversized heads.
int HttpServer::State::http_error(mg_connection* connection, int status, const char* message) {
  send(connection, plain(status, message == nullptr ? "" : message), true);
  return 0;
}

void HttpServer::State::drain() {
  std::unique_lock lock(mutex);
  draining = true;
  idle.wait_for(lock, options.drain, [this] { return handled.empty(); });
}

HttpServer::HttpServer(Options options) : state_(std::make_unique<State>(std::move(options))) {}

HttpServer::~HttpServer() {
  stop();
}

void HttpServer::route(std::string method, std::string path, HttpHandler handler, HttpGate gate) {
  state_->routes.push_back({std::move(method), std::move(path), std::move(handler), std::move(gate)});
}

Result<std::uint16_t> HttpServer::start() {
  static const unsigned features = mg_init_library(MG_FEATURES_DEFAULT);
  static_cast<void>(features);
  State& state = *state_;
  const Options& options = state.options;
  if (options.address.find(':') != std::string::npos) {
    return Error{ErrorCode::kUnsupported, options.name + " cannot listen on the IPv6 address " + options.address};
  }
  const std::string where = (options.address.empty() ? "" : options.address + ":") + std::to_string(options.port);
  const std::string threads = std::to_string(options.threads), silence = std::to_string(options.silence.count());
  const std::string head = std::to_string(kMaxHeaderBytes);
  const char* settings[] = {"listening_ports",
                            where.c_str(),
                            "num_threads",
                            threads.c_str(),
                            "request_timeout_ms",
                            silence.c_str(),
                            "max_request_size",
                            head.c_str(),
                            "enable_keep_alive",
                            "no",
                            "enable_directory_listing",
                            "no",
                            "tcp_nodelay",
                            "1",
                            "connection_queue",
                            "128",
                            nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &State::begin_request;
  callbacks.log_message = &State::log_message;
  callbacks.http_error = &State::http_error;
  mg_context* context = mg_start(&callbacks, &state, settings);
  const std::lock_guard lock(state.mutex);
  if (context == nullptr) {
    return Error{ErrorCode::kUnavailable, options.name + " cannot listen on " + where +
                                              (state.last_message.empty() ? "" : ": " + state.last_message)};
  }
  mg_server_port port{};
  mg_get_server_ports(context, 1, &port);
  state.context = context;
  const auto number = static_cast<std::uint16_t>(port.port);
  state.reaper = std::make_unique<ConnectionReaper>(
      number, ConnectionReaper::Limits{options.lifetime, static_cast<std::size_t>(options.threads), options.patience},
      [&state](const std::string& peer) {
        const std::lock_guard guard(state.mutex);
        return state.handled.contains(peer);
      });
  return number;
}

void HttpServer::stop() {
  State& state = *state_;
  if (state.context == nullptr) return;
  state.drain();
  state.reaper->end_all();
  mg_stop(state.context);
  state.reaper.reset();
  state.context = nullptr;
}

}  // namespace imagebuild::op
