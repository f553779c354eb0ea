#include "fakes/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>

namespace imagebuild::fakes {

// The bytes of one client. shut() may be called by another thread; everything else by the serving one.
class Connection {
 public:
  Connection(UniqueFd fd, SSL_CTX* tls) : fd_(std::move(fd)) {
    if (tls != nullptr) ssl_.reset(SSL_new(tls));
  }

  bool handshake() {
    if (!ssl_) return true;
    SSL_set_fd(ssl_.get(), fd_.get());
    return SSL_accept(ssl_.get()) == 1;
  }
  // More bytes into the buffer; false at the end.
  bool fill() {
    char piece[64 * 1024];
    const int limit = static_cast<int>(sizeof piece);
    const ssize_t count = ssl_ ? SSL_read(ssl_.get(), piece, limit) : ::recv(fd_.get(), piece, sizeof piece, 0);
    if (count <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(count));
    return true;
  }
  // Up to and with the delimiter; nothing when the client ends before it.
  std::optional<std::string> take_until(std::string_view delimiter) {
    std::size_t found;
    while ((found = buffer_.find(delimiter)) == buffer_.npos) {
      if (!fill()) return {};
    }
    std::string text = buffer_.substr(0, found + delimiter.size());
    buffer_.erase(0, text.size());
    return text;
  }
  // A request's header; with `refuse_noise`, what cannot be one (a TLS greeting, say) is answered at once.
  std::optional<std::string> take_header(bool refuse_noise) {
    if (buffer_.empty() && !fill()) return {};
    if (!refuse_noise || (buffer_.front() >= 'A' && buffer_.front() <= 'Z')) return take_until("\r\n\r\n");
    send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    return {};
  }
  // At most `size` bytes; fewer at the client's end.
  std::string take(std::size_t size) {
    std::string text;
    while (text.size() < size) {
      if (buffer_.empty() && !fill()) break;
      const std::size_t count = std::min(size - text.size(), buffer_.size());
      text.append(buffer_, 0, count);
      buffer_.erase(0, count);
    }
    return text;
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                 : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  // Lets the client read what was sent before the connection goes: a close with unread input would reset it.
  void linger() {
    ::shutdown(fd_.get(), SHUT_WR);
    char waste[64 * 1024];
    while (::recv(fd_.get(), waste, sizeof waste, 0) > 0) {
    }
  }
  void wait_for_end() {
    while (fill()) {
    }
  }
  void shut() { ::shutdown(fd_.get(), SHUT_RDWR); }

 private:
  struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  UniqueFd fd_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
  std::string buffer_;
};

namespace {

std::string decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ec == std::errc{}) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

std::shared_ptr<void> make_context(const TlsIdentity& identity) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  const auto memory = [](const std::string& text) {
    return std::unique_ptr<BIO, decltype(&BIO_free)>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                     BIO_free);
  };
  X509* certificate = PEM_read_bio_X509(memory(identity.cert_pem).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(memory(identity.key_pem).get(), nullptr, nullptr, nullptr);
  const bool good = context && SSL_CTX_use_certificate(context.get(), certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!good) std::abort();
  return context;
}

}  // namespace

// -------------------------------------------------------------------------------------------------------- one request
bool Exchange::parse(const std::string& header) {
  const auto line_end = header.find("\r\n");
  const std::string line = header.substr(0, line_end);
  const auto first = line.find(' '), second = line.rfind(' ');
  if (first == line.npos || second <= first) return false;
  method = line.substr(0, first);
  const std::string target = line.substr(first + 1, second - first - 1);
  const auto question = target.find('?');
  path = target.substr(0, question);
  for (std::size_t at = question == target.npos ? target.size() : question + 1; at < target.size();) {
    const auto end = std::min(target.find('&', at), target.size());
    const std::string pair = target.substr(at, end - at);
    const auto equals = std::min(pair.find('='), pair.size());
    // Repeated names (several scopes) are joined with spaces.
    std::string& value = query[decoded(pair.substr(0, equals))];
    value += (value.empty() ? "" : " ") + decoded(equals < pair.size() ? pair.substr(equals + 1) : "");
    at = end + 1;
  }
  for (std::size_t at = line_end + 2; at < header.size();) {
    const auto end = header.find("\r\n", at);
    if (end == header.npos || end == at) break;
    const auto colon = header.find(':', at);
    if (colon < end) {
      auto value = header.substr(colon + 1, end - colon - 1);
      value.erase(0, value.find_first_not_of(' '));
      headers.add(header.substr(at, colon - at), value);
    }
    at = end + 2;
  }
  return true;
}

std::string Exchange::read_body(std::size_t max_bytes) {
  if (headers.find("Expect")) connection_.send("HTTP/1.1 100 Continue\r\n\r\n");
  body_read_ = true;
  if (!headers.find("Transfer-Encoding")) {
    const std::string length = headers.find("Content-Length").value_or("0");
    const std::size_t size = std::strtoull(length.c_str(), nullptr, 10);
    if (size > max_bytes) body_read_ = false;
    return connection_.take(std::min(size, max_bytes));
  }
  std::string body;
  while (body.size() < max_bytes) {
    const auto size_line = connection_.take_until("\r\n");
    const std::size_t size = size_line ? std::strtoull(size_line->c_str(), nullptr, 16) : 0;
    body += connection_.take(size);
    connection_.take(2);
    if (size == 0) break;
  }
  return body;
}

void Exchange::begin(int status, const http::Headers& extra, std::optional<std::uint64_t> length) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " Status\r\n";
  for (const auto& [name, value] : extra) text += name + ": " + value + "\r\n";
  if (!length) text += "Transfer-Encoding: chunked\r\n";
  if (length && !extra.find("Content-Length")) text += "Content-Length: " + std::to_string(*length) + "\r\n";
  const bool sent_all =
      body_read_ || (!headers.find("Transfer-Encoding") && headers.find("Content-Length").value_or("0") == "0");
  close_ = close_ || !sent_all || headers.find("Connection").value_or("") == "close";
  if (close_) text += "Connection: close\r\n";
  connection_.send(text + "\r\n");
  answered_ = true;
}

void Exchange::respond(int status, const http::Headers& extra, std::string_view body) {
  begin(status, extra, body.size());
  if (method != "HEAD") connection_.send(body);
}

void Exchange::write(std::string_view bytes) {
  connection_.send(bytes);
}

void Exchange::write_chunk(std::string_view bytes) {
  char size[24];
  const auto end = std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr;
  connection_.send(std::string(size, end) + "\r\n" + std::string(bytes) + "\r\n");
}

void Exchange::drop() {
  answered_ = true;
  close_ = true;
  connection_.shut();
}

void Exchange::hang() {
  answered_ = true;
  close_ = true;
  connection_.wait_for_end();
}

// ------------------------------------------------------------------------------------------------------------ the
// server
HttpServer::HttpServer(Handler handler, std::optional<TlsIdentity> identity) : handler_(std::move(handler)) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL.
  if (identity) tls_ = make_context(*identity);
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 128) != 0 ||
      ::getsockname(listener_.get(), generic, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (Client& client : clients_) client.connection->shut();
  }
  clients_.clear();
}

void HttpServer::accept_loop() {
  while (!stopping_) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    const int yes = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ++accepted_;
    const std::lock_guard lock(mutex_);
    Client& client = clients_.emplace_back();
    client.connection = std::make_unique<Connection>(std::move(fd), static_cast<SSL_CTX*>(tls_.get()));
    client.thread = std::jthread([this, &connection = *client.connection] { serve(connection); });
  }
}

void HttpServer::serve(Connection& connection) {
  if (connection.handshake()) {
    while (!stopping_) {
      const auto header = connection.take_header(refuse_noise_);
      Exchange exchange(connection);
      if (!header || !exchange.parse(*header)) break;
      handler_(exchange);
      if (!exchange.answered_) exchange.respond(500);
      if (!exchange.close_) continue;
      connection.linger();
      break;
    }
  }
  connection.shut();
}

}  // namespace imagebuild::fakes
