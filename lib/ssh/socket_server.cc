#include "ssh/socket_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace imagebuild::ssh {
namespace {

constexpr std::size_t kMaxSessions = 64;  // More clients wait until others have gone.
constexpr int kPauseMilliseconds = 100;   // Before a client is accepted after the machine refused one.

}  // namespace

Result<std::unique_ptr<SocketServer>> SocketServer::start(const std::filesystem::path& path, const SocketAccess& access,
                                                          OpenSession open) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return system_error("eventfd", errno);
  ASSIGN_OR_RETURN(UniqueFd listener, listen_on(path, access));
  return std::unique_ptr<SocketServer>(new SocketServer(path, std::move(listener), std::move(wake), std::move(open)));
}

// Signals go to the threads that expect them.
SocketServer::SocketServer(std::filesystem::path path, UniqueFd listener, UniqueFd wake, OpenSession open)
    : path_(std::move(path)), listener_(std::move(listener)), wake_(std::move(wake)), open_(std::move(open)) {
  sigset_t all = {}, before = {};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::jthread([this] { serve(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

SocketServer::~SocketServer() {
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
  ::unlink(path_.c_str());
}

void SocketServer::serve() {
  bool paused = false;
  for (;;) {
    const bool accepts = !paused && sessions_.size() < kMaxSessions;
    std::vector<pollfd> fds = {{wake_.get(), POLLIN, 0}, {accepts ? listener_.get() : -1, POLLIN, 0}};
    for (const auto& session : sessions_) {
      for (const MessageStream& stream : session->streams()) fds.push_back(stream.wanted());
    }
    if (::poll(fds.data(), fds.size(), paused ? kPauseMilliseconds : -1) < 0) continue;
    if (fds[0].revents != 0) return;
    std::vector<std::unique_ptr<Session>> alive;
    auto ready = fds.begin() + 2;
    for (auto& session : sessions_) {
      for (MessageStream& stream : session->streams()) stream.move(ready++->revents);
      if (session->advance()) alive.push_back(std::move(session));
    }
    sessions_ = std::move(alive);
    paused = fds[1].revents != 0 && !accept_one();
  }
}

// False when the machine cannot take another client now.
bool SocketServer::accept_one() {
  UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client.valid()) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  if (auto session = open_(std::move(client))) sessions_.push_back(std::move(session));
  return true;
}

}  // namespace imagebuild::ssh
