// A Git server for tests: `git daemon` behind a listener of our own, so that the port is free and open from the start.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>
#include <thread>

#include "base/unique_fd.h"

extern char** environ;

namespace imagebuild::builder {

class GitServer {
 public:
  // Serves the repositories below `root` as git://127.0.0.1:PORT/NAME.
  explicit GitServer(std::filesystem::path root) : root_(std::move(root)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_.get(), 16);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  GitServer(const GitServer&) = delete;
  GitServer& operator=(const GitServer&) = delete;
  ~GitServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
  }

  std::string url(const std::string& name) const { return "git://127.0.0.1:" + std::to_string(port_) + "/" + name; }

 private:
  void accept_all() const {
    while (true) {
      const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) return;
      serve(connection.get());
    }
  }

  // One after the other: a fetch has no two connections at once.
  void serve(int connection) const {
    std::string base = "--base-path=" + root_.string();
    std::string words[] = {"git", "daemon", "--inetd", "--export-all", base, "--timeout=60"};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                    words[4].data(), words[5].data(), nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, connection, 0);
    ::posix_spawn_file_actions_adddup2(&actions, connection, 1);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    if (::posix_spawnp(&pid, "git", &actions, nullptr, argv, environ) == 0) {
      int status = 0;
      ::waitpid(pid, &status, 0);
    }
    ::posix_spawn_file_actions_destroy(&actions);
  }

  std::filesystem::path root_;
  UniqueFd listener_;
  int port_ = 0;
  std::thread acceptor_;
};

}  // namespace imagebuild::builder
