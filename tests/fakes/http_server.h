// A small HTTP/1.1 server for tests: real sockets on 127.0.0.1, one thread a connection, and as rude as a test wants.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"
#include "fakes/tls_identity.h"
#include "http/headers.h"

namespace imagebuild::fakes {

class Connection;  // A TCP or TLS stream; see http_server.cc.

// One request and the means to answer it. Lives during the handler's call, on the connection's own thread.
class Exchange {
 public:
  explicit Exchange(Connection& connection) : connection_(connection) {}

  std::string method;
  std::string path;                          // Without the query.
  std::map<std::string, std::string> query;  // Decoded.
  http::Headers headers;

  // The request's body, at most `max_bytes` of it; says "100 Continue" first if the client waits for it. A client that
  // goes away ends it early.
  std::string read_body(std::size_t max_bytes = SIZE_MAX);
  // A whole answer. HEAD gets the header only.
  void respond(int status, const http::Headers& extra = {}, std::string_view body = {});
  // The header alone, promising `length` bytes, or chunks when there is no length; write() sends parts of the body.
  void begin(int status, const http::Headers& extra, std::optional<std::uint64_t> length);
  void write(std::string_view bytes);
  void write_chunk(std::string_view bytes);  // An empty one is the last.
  // Closes the connection now, in the middle of whatever is going on.
  void drop();
  // Returns when the client hangs up or the server is stopped.
  void hang();

 private:
  friend class HttpServer;
  bool parse(const std::string& header);
  Connection& connection_;
  bool body_read_ = false;
  bool answered_ = false;
  bool close_ = false;
};

class HttpServer {
 public:
  using Handler = std::function<void(Exchange&)>;

  // Listens on a free port of 127.0.0.1; with an identity it speaks TLS. `handler` is called by several threads.
  explicit HttpServer(Handler handler, std::optional<TlsIdentity> identity = {});
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  int port() const { return port_; }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return (tls_ ? "https://" : "http://") + host(); }
  // From now on, answers 400 to what is no HTTP, as real servers do, instead of waiting for more.
  void refuse_noise() { refuse_noise_ = true; }
  int connections() const { return accepted_; }  // Accepted so far.

 private:
  struct Client {
    std::unique_ptr<Connection> connection;
    std::jthread thread;
  };
  void accept_loop();
  void serve(Connection& connection);

  Handler handler_;
  std::shared_ptr<void> tls_;  // An SSL_CTX.
  UniqueFd listener_;
  int port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::atomic<bool> stopping_ = false, refuse_noise_ = false;
  std::mutex mutex_;
  std::list<Client> clients_;
  std::jthread acceptor_;
};

}  // namespace imagebuild::fakes
