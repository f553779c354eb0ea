#include "builder/report/http_post.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/unique_fd.h"

namespace imagebuild::builder {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMaxUrlBytes = 4096;
constexpr std::size_t kMaxAnswerBytes = 16 * 1024;

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Error unavailable(const std::string& why) {
  return Error{ErrorCode::kUnavailable, why};
}

// Waits for a socket until it is ready, the time is over or somebody asks to stop.
class Patience {
 public:
  Patience(milliseconds total, const std::stop_token& stop)
      : end_(steady_clock::now() + total),
        stop_(stop),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        on_stop_(stop, Wake{wake_.get()}) {}

  // poll(2)'s events at `fd`. `what` says for what it waits.
  Result<short> wait(int fd, short events, milliseconds at_most, const char* what) const {
    const auto until = std::min(end_, steady_clock::now() + at_most);
    while (true) {
      if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
      const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
      std::array<struct pollfd, 2> fds = {{{fd, events, 0}, {wake_.get(), POLLIN, 0}}};
      const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(std::max<long>(left.count(), 0)));
      if (ready < 0 && errno != EINTR) return system_error("cannot wait for the connection", errno);
      if (ready > 0 && fds[0].revents != 0) return fds[0].revents;
      if (ready == 0) return unavailable(std::string("it took too long to ") + what);
    }
  }

 private:
  struct Wake {
    int fd;
    void operator()() const {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof(one));
    }
  };
  steady_clock::time_point end_;
  const std::stop_token& stop_;
  UniqueFd wake_;
  std::stop_callback<Wake> on_stop_;
};

Result<UniqueFd> connect_to(const HttpEndpoint& to, const Patience& patience, const PostLimits& limits) {
  UniqueFd fd(::socket(to.address()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("cannot make a socket", errno);
  if (::connect(fd.get(), to.address(), to.address_size()) == 0) return fd;
  if (errno == EINPROGRESS) {
    RETURN_IF_ERROR(patience.wait(fd.get(), POLLOUT, limits.connect, "connect"));
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0) return fd;
    errno = error;
  }
  return unavailable(std::string("cannot connect: ") + std::strerror(errno));
}

enum class Sent { kAll, kEnough };  // kEnough: the server has something to say, or does not listen any more.

Result<Sent> send_all(int fd, std::string_view bytes, int flags, const Patience& patience, const PostLimits& limits) {
  while (!bytes.empty()) {
    ASSIGN_OR_RETURN(const short events, patience.wait(fd, POLLOUT | POLLIN, limits.silence, "send the request"));
    if ((events & (POLLIN | POLLERR | POLLHUP)) != 0) return Sent::kEnough;
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return Sent::kEnough;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return Sent::kAll;
}

Result<int> read_status(int fd, const Patience& patience, const PostLimits& limits) {
  std::string answer;
  std::array<char, 2048> buffer;
  while (answer.size() < kMaxAnswerBytes) {
    RETURN_IF_ERROR(patience.wait(fd, POLLIN, limits.silence, "answer"));
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return unavailable(std::string("the connection broke: ") + std::strerror(errno));
    if (count == 0) return unavailable("the connection was closed without an answer");
    answer.append(buffer.data(), static_cast<std::size_t>(count));
    ASSIGN_OR_RETURN(const std::optional<int> status, answered_status(answer));
    if (status) return *status;
  }
  return Error{ErrorCode::kCorrupt, "the answer does not say its status"};
}

// The status of one complete status line, without its end.
std::optional<int> parse_status_line(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kStatusAt = 9;
  if (!line.starts_with(kVersion) || line.size() < kStatusAt + 3) return std::nullopt;
  if ((line[7] != '0' && line[7] != '1') || line[8] != ' ') return std::nullopt;
  if (line.size() > kStatusAt + 3 && line[kStatusAt + 3] != ' ') return std::nullopt;
  int status = 0;
  const char* end = line.data() + kStatusAt + 3;
  if (std::from_chars(line.data() + kStatusAt, end, status).ptr != end || status < 100) return std::nullopt;
  return status;
}

}  // namespace

Result<HttpEndpoint> HttpEndpoint::parse(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.size() > kMaxUrlBytes || !is_printable(url)) return Error{ErrorCode::kInvalidInput, "it is not a URL"};
  if (!url.starts_with(kScheme)) return Error{ErrorCode::kUnsupported, "it must start with http://"};
  url.remove_prefix(kScheme.size());

  HttpEndpoint endpoint;
  const std::size_t slash = std::min(url.find_first_of("/?"), url.size());
  endpoint.host_ = url.substr(0, slash);
  endpoint.path_ = url.substr(slash);
  if (!endpoint.path_.starts_with('/')) endpoint.path_.insert(0, "/");

  std::string_view host = endpoint.host_, port;
  const bool is_v6 = host.starts_with('[');
  if (const std::size_t colon = host.find(':', is_v6 ? host.find(']') : 0); colon != std::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  unsigned short number = 80;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0) {
      return Error{ErrorCode::kInvalidInput, "'" + std::string(port.substr(1)) + "' is not a port"};
    }
  }

  if (is_v6 && host.ends_with(']')) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&endpoint.address_);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(number);
    endpoint.address_size_ = sizeof(*v6);
    const std::string inner(host.substr(1, host.size() - 2));
    if (::inet_pton(AF_INET6, inner.c_str(), &v6->sin6_addr) == 1) return endpoint;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&endpoint.address_);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(number);
    endpoint.address_size_ = sizeof(*v4);
    if (::inet_pton(AF_INET, std::string(host).c_str(), &v4->sin_addr) == 1) return endpoint;
  }
  return Error{ErrorCode::kUnsupported, "its host '" + std::string(host) + "' is not an IP address"};
}

Result<std::optional<int>> answered_status(std::string_view answer) {
  while (true) {
    const std::size_t end = answer.find("\r\n");
    if (end == std::string_view::npos) return std::optional<int>();
    const std::optional<int> status = parse_status_line(answer.substr(0, end));
    if (!status) return Error{ErrorCode::kCorrupt, "the answer is not HTTP"};
    if (*status >= 200) return status;
    const std::size_t header_end = answer.find("\r\n\r\n", end);
    if (header_end == std::string_view::npos) return std::optional<int>();
    answer.remove_prefix(header_end + 4);
  }
}

Result<int> http_post_json(const HttpEndpoint& to, std::string_view bearer_token, std::string_view json,
                           const PostLimits& limits, const std::stop_token& stop) {
  if (!is_printable(bearer_token)) return Error{ErrorCode::kInvalidInput, "the token has characters that no token has"};
  const Patience patience(limits.total, stop);
  ASSIGN_OR_RETURN(const UniqueFd fd, connect_to(to, patience, limits));
  const std::string header = "POST " + to.path() + " HTTP/1.1\r\nHost: " + to.host() + "\r\nAuthorization: Bearer " +
                             std::string(bearer_token) +
                             "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(json.size()) +
                             "\r\nConnection: close\r\n\r\n";
  ASSIGN_OR_RETURN(const Sent sent, send_all(fd.get(), header, MSG_MORE, patience, limits));
  if (sent == Sent::kAll) RETURN_IF_ERROR(send_all(fd.get(), json, 0, patience, limits));
  return read_status(fd.get(), patience, limits);
}

}  // namespace imagebuild::builder
