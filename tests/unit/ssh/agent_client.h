// A client of an agent that says exactly the bytes that a test wants, and waits for what comes back.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>

#include "ssh/unix_socket.h"
#include "ssh/wire.h"

namespace imagebuild::ssh {

inline Bytes framed(const Bytes& message) {
  return Writer().string(message).take();
}

class AgentClient {
 public:
  explicit AgentClient(const std::filesystem::path& path) {
    Result<UniqueFd> connected = connect_to(path);
    EXPECT_TRUE(connected.ok());
    if (!connected.ok()) return;
    fd_ = std::move(*connected);
    ::fcntl(fd_.get(), F_SETFL, 0);  // Blocking: a test waits, however long the machine takes.
  }
  void send(const Bytes& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Exactly so many bytes, or fewer at the end.
  Bytes receive(std::size_t count) {
    Bytes bytes(count);
    const ssize_t got = ::recv(fd_.get(), bytes.data(), count, MSG_WAITALL);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
  }
  // The next message without its length; empty at the end.
  Bytes reply() {
    const Bytes size = receive(4);
    return size.size() < 4 ? Bytes() : receive(Reader(size).uint32());
  }
  Bytes ask(const Bytes& message) {
    send(framed(message));
    return reply();
  }
  void end_requests() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  UniqueFd fd_;
};

}  // namespace imagebuild::ssh
