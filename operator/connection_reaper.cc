#include "operator/connection_reaper.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"

namespace imagebuild::op {
namespace {

using std::chrono::milliseconds;

// Read from the name that /proc gives a socket, "socket:[123]", for the descriptor may be closed at any time.
std::optional<ino_t> inode_of(int fd) {
  constexpr std::string_view kPrefix = "socket:[";
  char name[64];
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
  const std::string_view text(name, size < 0 ? 0 : static_cast<std::size_t>(size));
  if (!text.starts_with(kPrefix)) return std::nullopt;
  ino_t inode = 0;
  const auto [end, error] = std::from_chars(name + kPrefix.size(), name + size, inode);
  return error == std::errc() && end != name + size && *end == ']' ? std::optional(inode) : std::nullopt;
}

bool listens(int fd) {
  int answer = 0;
  socklen_t size = sizeof answer;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &answer, &size) == 0 && answer != 0;
}

// The port this end of a socket is bound to; 0 for what is no internet socket.
std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

// "10.0.0.1 43210"; nothing for a socket that listens.
std::optional<std::string> peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  char host[NI_MAXHOST] = {}, port[NI_MAXSERV] = {};
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return std::nullopt;
  }
  return std::string(host) + " " + port;
}

// The descriptors are another's and may be closed and taken anew at any time: only a duplicate is sure to stay what it
// was found to be.
void shut_down(int fd, ino_t inode) {
  const UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (own.valid() && inode_of(own.get()) == inode) ::shutdown(own.get(), SHUT_RDWR);
}

std::vector<int> open_descriptors() {
  std::vector<int> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec == std::errc()) found.push_back(fd);
  }
  return found;
}

}  // namespace

ConnectionReaper::ConnectionReaper(std::uint16_t port, Limits limits, Handled handled)
    : port_(port),
      limits_(limits),
      handled_(std::move(handled)),
      thread_([this](const std::stop_token& stop) { watch(stop); }) {}

ConnectionReaper::~ConnectionReaper() = default;

void ConnectionReaper::end(const std::string& peer) {
  for (const int fd : open_descriptors()) {
    if (local_port(fd) != port_ || peer_of(fd) != peer) continue;
    if (const std::optional<ino_t> inode = inode_of(fd)) shut_down(fd, *inode);
  }
}

void ConnectionReaper::end_all() {
  const std::lock_guard lock(mutex_);
  end_all_ = true;
  wake_.notify_all();
}

void ConnectionReaper::watch(const std::stop_token& stop) {
  constexpr milliseconds kSeldom(250), kEnding(10);
  const milliseconds pace = std::max(kEnding, std::min({kSeldom, limits_.lifetime / 4, limits_.patience / 4}));
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const bool ending = end_all_;
    lock.unlock();
    look();
    lock.lock();
    wake_.wait_for(lock, stop, ending ? kEnding : pace, [&] { return end_all_ != ending; });
  }
}

void ConnectionReaper::look() {
  bool all = false;
  {
    const std::lock_guard lock(mutex_);
    all = end_all_;
  }
  if (all) stop_listening();
  const std::vector<Connection> open = connections();
  std::size_t left = open.size();
  for (const Connection& connection : open) {
    const bool crowded = left >= limits_.threads;
    const bool too_slow = crowded && connection.age >= limits_.patience && !handled_(connection.peer);
    if (!all && connection.age < limits_.lifetime && !too_slow) continue;
    shut_down(connection.fd, connection.inode);
    --left;
  }
}

void ConnectionReaper::stop_listening() {
  for (const int fd : open_descriptors()) {
    const std::optional<ino_t> inode = inode_of(fd);
    if (inode && local_port(fd) == port_ && listens(fd)) shut_down(fd, *inode);
  }
}

std::vector<ConnectionReaper::Connection> ConnectionReaper::connections() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<Connection> found;
  std::map<ino_t, std::chrono::steady_clock::time_point> seen;
  for (const int fd : open_descriptors()) {
    if (local_port(fd) != port_) continue;
    const std::optional<ino_t> inode = inode_of(fd);
    std::optional<std::string> peer = peer_of(fd);
    if (!inode || !peer) continue;
    const auto before = first_seen_.find(*inode);
    const auto since = seen.emplace(*inode, before == first_seen_.end() ? now : before->second).first->second;
    found.push_back({fd, *inode, *std::move(peer), std::chrono::duration_cast<milliseconds>(now - since)});
  }
  first_seen_ = std::move(seen);
  std::ranges::stable_sort(found, std::greater{}, &Connection::age);
  return found;
}

}  // namespace imagebuild::op
