#include "ssh/message_stream.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "ssh/agent.h"
#include "ssh/wire.h"

namespace imagebuild::ssh {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kMaxIncomingBytes = kLengthBytes + kMaxMessageBytes;

bool would_wait() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

pollfd MessageStream::wanted() const {
  const bool reads = !ended_ && incoming_.size() < kMaxIncomingBytes;
  const int events = (reads ? POLLIN : 0) | (outgoing_.empty() ? 0 : POLLOUT);
  return {.fd = gone_ ? -1 : fd_.get(), .events = static_cast<short>(events), .revents = 0};
}

void MessageStream::move(short events) {
  if ((events & POLLIN) != 0) receive();
  if ((events & POLLOUT) != 0) send();
  if ((events & (POLLHUP | POLLERR | POLLNVAL)) != 0) gone_ = true;
}

void MessageStream::receive() {
  std::array<std::byte, 16UL << 10U> piece;
  while (!ended_ && incoming_.size() < kMaxIncomingBytes) {
    const std::size_t room = std::min(piece.size(), kMaxIncomingBytes - incoming_.size());
    const ssize_t count = ::recv(fd_.get(), piece.data(), room, 0);
    if (count < 0 && would_wait()) return;
    if (count < 0) gone_ = true;
    if (count <= 0) {
      ended_ = true;
      return;
    }
    incoming_.insert(incoming_.end(), piece.begin(), piece.begin() + count);
  }
}

void MessageStream::send() {
  const ssize_t count = ::send(fd_.get(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
  if (count > 0) outgoing_.erase(outgoing_.begin(), outgoing_.begin() + count);
  if (count < 0 && !would_wait()) gone_ = true;
}

std::optional<Bytes> MessageStream::take() {
  const auto first = first_message(incoming_);
  if (!first.ok()) gone_ = true;
  if (!first.ok() || !first->has_value()) return {};
  Bytes message((*first)->begin(), (*first)->end());
  incoming_.erase(incoming_.begin(), incoming_.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + message.size()));
  return message;
}

void MessageStream::put(std::span<const std::byte> message) {
  const Bytes framed = Writer().string(message).take();
  outgoing_.insert(outgoing_.end(), framed.begin(), framed.end());
}

}  // namespace imagebuild::ssh
