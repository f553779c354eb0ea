// A socket that carries messages of the SSH agent protocol, without waiting for either direction.
#pragma once

#include <poll.h>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"

namespace imagebuild::ssh {

// For one thread. Holds at most one longest message that came, and what was put.
class MessageStream {
 public:
  // `fd` is a non-blocking socket.
  explicit MessageStream(UniqueFd fd) : fd_(std::move(fd)) {}

  // What to poll for, and what to do with the result. A stream that is gone() asks for nothing.
  pollfd wanted() const;
  void move(short events);

  // The next whole message, without its length. A message that breaks the rules makes the stream gone().
  std::optional<std::vector<std::byte>> take();
  // Sends a message, given without its length, when the socket can take it.
  void put(std::span<const std::byte> message);

  bool sent_all() const { return outgoing_.empty(); }
  // The other side sends no more, but may still read.
  bool ended() const { return ended_; }
  // The other side is not there any more.
  bool gone() const { return gone_; }

 private:
  void receive();
  void send();

  UniqueFd fd_;
  std::vector<std::byte> incoming_;
  std::vector<std::byte> outgoing_;
  bool ended_ = false;
  bool gone_ = false;
};

}  // namespace imagebuild::ssh
