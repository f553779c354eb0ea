// A client that sends any bytes, good or bad, at any pace.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace imagebuild::op {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Everything until the server closes.
  std::string rest() {
    std::string all;
    char block[4096];
    for (ssize_t got = 0; (got = ::recv(fd_.get(), block, sizeof block, 0)) > 0;) {
      all.append(block, static_cast<std::size_t>(got));
    }
    return all;
  }
  // Waits for bytes or the end of the connection.
  bool readable(int milliseconds) {
    pollfd wait{fd_.get(), POLLIN, 0};
    return ::poll(&wait, 1, milliseconds) > 0;
  }

  static std::string ask(std::uint16_t port, std::string_view bytes) {
    RawClient client(port);
    return client.send(bytes) ? client.rest() : "";
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

}  // namespace imagebuild::op
