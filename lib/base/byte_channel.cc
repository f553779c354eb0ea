#include "base/byte_channel.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

namespace imagebuild {

// A ring buffer; `begin` is where the reader goes on, `held` how much there is for it.
struct ByteChannel::Shared {
  explicit Shared(std::size_t capacity) : ring(std::max<std::size_t>(1, capacity)) {}

  std::size_t put(std::span<const std::byte> bytes) {
    const std::size_t end = (begin + held) % ring.size();
    const std::size_t count = std::min({bytes.size(), ring.size() - held, ring.size() - end});
    std::memcpy(ring.data() + end, bytes.data(), count);
    held += count;
    return count;
  }
  std::size_t take(std::span<std::byte> buffer) {
    const std::size_t count = std::min({buffer.size(), held, ring.size() - begin});
    std::memcpy(buffer.data(), ring.data() + begin, count);
    begin = (begin + count) % ring.size();
    held -= count;
    return count;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::byte> ring;
  std::size_t begin = 0;
  std::size_t held = 0;
  bool closed = false;
  bool reader_gone = false;
  std::optional<Error> error;  // Why the writer closed; comes after the bytes.
};

ByteChannel::Ends ByteChannel::create(std::size_t capacity_bytes) {
  auto shared = std::make_shared<Shared>(capacity_bytes);
  return Ends{std::make_unique<Writer>(shared), std::make_unique<Reader>(shared)};
}

ByteChannel::Writer::~Writer() {
  finish(Error{ErrorCode::kCancelled, "the data ended too early: its writer went away"});
}

Status ByteChannel::Writer::write(std::span<const std::byte> bytes) {
  std::unique_lock lock(shared_->mutex);
  if (shared_->closed) return Error{ErrorCode::kInternal, "write to a closed channel"};
  while (!bytes.empty()) {
    shared_->changed.wait(lock, [&] { return shared_->reader_gone || shared_->held < shared_->ring.size(); });
    if (shared_->reader_gone) return Error{ErrorCode::kCancelled, "nobody reads this data any more"};
    bytes = bytes.subspan(shared_->put(bytes));
    shared_->changed.notify_one();
  }
  return ok();
}

void ByteChannel::Writer::finish(std::optional<Error> error) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->closed) return;
  shared_->closed = true;
  shared_->error = std::move(error);
  shared_->changed.notify_one();
}

ByteChannel::Reader::~Reader() {
  const std::lock_guard lock(shared_->mutex);
  shared_->reader_gone = true;
  shared_->changed.notify_one();
}

Result<std::size_t> ByteChannel::Reader::read(std::span<std::byte> buffer) {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->held > 0 || shared_->closed; });
  if (shared_->held == 0 && shared_->error) return *shared_->error;
  const std::size_t count = shared_->take(buffer);
  shared_->changed.notify_one();
  return count;
}

}  // namespace imagebuild
