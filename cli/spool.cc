#include "cli/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace imagebuild::cli {

namespace {

constexpr std::size_t kPieceBytes = 128 * 1024;
constexpr std::size_t kQueuedPieceBytes = 256 * 1024;

// Pieces of a stream on their way from one thread to another; they change hands without being copied.
class PieceQueue {
 public:
  struct Piece {
    std::vector<std::byte> bytes;
    std::size_t size = 0;
  };
  explicit PieceQueue(std::size_t capacity_bytes)
      : capacity_(std::max<std::size_t>(1, capacity_bytes / kQueuedPieceBytes)) {}

  // A piece to fill, or nothing when nobody reads any more.
  std::optional<Piece> empty() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reader_gone_ || full_.size() < capacity_; });
    if (reader_gone_) return std::nullopt;
    if (spare_.empty()) return Piece{std::vector<std::byte>(kQueuedPieceBytes), 0};
    Piece piece = std::move(spare_.back());
    spare_.pop_back();
    return piece;
  }
  void put(Piece piece) {
    const std::lock_guard lock(mutex_);
    full_.push_back(std::move(piece));
    changed_.notify_one();
  }
  void end(Status how) {
    const std::lock_guard lock(mutex_);
    ended_ = std::move(how);
    changed_.notify_one();
  }
  // The next piece for the last one, which was read; nothing at the end.
  Result<std::optional<Piece>> next(Piece used) {
    std::unique_lock lock(mutex_);
    if (!used.bytes.empty()) spare_.push_back(std::move(used));
    changed_.wait(lock, [&] { return !full_.empty() || ended_; });
    if (full_.empty()) return ended_->ok() ? Result<std::optional<Piece>>(std::nullopt) : ended_->error();
    Piece piece = std::move(full_.front());
    full_.pop_front();
    changed_.notify_one();
    return std::optional<Piece>(std::move(piece));
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    reader_gone_ = true;
    changed_.notify_one();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> full_;
  std::vector<Piece> spare_;
  std::optional<Status> ended_;
  bool reader_gone_ = false;
};

Status fill_queue(const OpenSource& open, PieceQueue& queue) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, open());
  std::optional<Error> error;
  while (true) {
    std::optional<PieceQueue::Piece> piece = queue.empty();
    if (!piece) return Error{ErrorCode::kCancelled, "nobody reads this data any more"};
    piece->size = 0;
    std::size_t count = 1;
    while (count > 0 && piece->size < piece->bytes.size() / 2) {
      const Result<std::size_t> read = source->read(std::span(piece->bytes).subspan(piece->size));
      if (!read.ok()) error = read.error();
      count = read.ok() ? *read : 0;
      piece->size += count;
    }
    if (piece->size > 0) queue.put(std::move(*piece));
    if (error) return *error;
    if (count == 0) return ok();
  }
}

class ReadAhead final : public ByteSource {
 public:
  ReadAhead(OpenSource open, std::size_t capacity_bytes)
      : queue_(capacity_bytes), thread_([this, open = std::move(open)] { queue_.end(fill_queue(open, queue_)); }) {}
  ~ReadAhead() override { queue_.leave(); }  // Ends the thread, which is joined next.

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (at_ == piece_.size) {
      ASSIGN_OR_RETURN(std::optional<PieceQueue::Piece> piece, queue_.next(std::exchange(piece_, {})));
      at_ = 0;
      if (!piece) return std::size_t{0};
      piece_ = std::move(*piece);
    }
    const std::size_t count = std::min(buffer.size(), piece_.size - at_);
    std::memcpy(buffer.data(), piece_.bytes.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  PieceQueue queue_;
  PieceQueue::Piece piece_;
  std::size_t at_ = 0;
  std::jthread thread_;
};

Result<UniqueFd> nameless_file(const std::filesystem::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  std::string name = (folder / "spool.XXXXXX").string();
  fd.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error(name, errno);
  ::unlink(name.c_str());
  return fd;
}

Status write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("keep a layer for its turn", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return ok();
}

}  // namespace

std::unique_ptr<ByteSource> read_ahead(OpenSource open, std::size_t capacity_bytes) {
  return std::make_unique<ReadAhead>(std::move(open), capacity_bytes);
}

class Spool::Reader final : public ByteSource {
 public:
  explicit Reader(Spool& spool) : spool_(spool) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    std::uint64_t available = 0;
    {
      std::unique_lock lock(spool_.mutex_);
      spool_.grown_.wait(lock, [&] { return spool_.ended_ || spool_.fetched_bytes_ > at_; });
      available = spool_.fetched_bytes_ - at_;
      if (available == 0 && spool_.error_) return *spool_.error_;
    }
    if (available == 0) return std::size_t{0};
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(available, buffer.size()));
    while (true) {
      const ssize_t count = ::pread(spool_.file_.get(), buffer.data(), wanted, static_cast<off_t>(at_));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return system_error("read a layer that was kept for its turn", count < 0 ? errno : EIO);
      at_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
  }

 private:
  Spool& spool_;
  std::uint64_t at_ = 0;
};

Result<std::unique_ptr<Spool>> Spool::start(OpenSource open, const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(UniqueFd file, nameless_file(folder));
  std::unique_ptr<Spool> spool(new Spool(std::move(file)));
  spool->thread_ =
      std::jthread([it = spool.get(), open = std::move(open)](const std::stop_token& stop) { it->fetch(open, stop); });
  return spool;
}

Spool::~Spool() = default;

void Spool::fetch(const OpenSource& open, const std::stop_token& stop) {
  const auto fetch_all = [&]() -> Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, open());
    std::vector<std::byte> buffer(kPieceBytes);
    while (!stop.stop_requested()) {
      ASSIGN_OR_RETURN(const std::size_t count, source->read(buffer));
      if (count == 0) return ok();
      RETURN_IF_ERROR(write_all(file_.get(), std::span(buffer).first(count)));
      {
        const std::lock_guard lock(mutex_);
        fetched_bytes_ += count;
      }
      grown_.notify_all();
    }
    return Error{ErrorCode::kCancelled, "stopped"};
  };
  const Status status = fetch_all();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (!status.ok()) error_ = status.error();
  }
  grown_.notify_all();
}

std::unique_ptr<ByteSource> Spool::reader() {
  return std::make_unique<Reader>(*this);
}

}  // namespace imagebuild::cli
