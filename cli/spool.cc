#include "cli/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/byte_channel.h"

namespace imagebuild::cli {

namespace {

constexpr std::size_t kPieceBytes = 128 * 1024;

class ReadAhead final : public ByteSource {
 public:
  ReadAhead(OpenSource open, std::size_t capacity_bytes) {
    ByteChannel::Ends ends = ByteChannel::create(capacity_bytes);
    reader_ = std::move(ends.reader);
    thread_ = std::jthread([open = std::move(open), writer = std::shared_ptr(std::move(ends.writer))] {
      const Result<std::unique_ptr<ByteSource>> source = open();
      if (!source.ok()) return writer->close(source.error());
      const Result<std::uint64_t> copied = copy_stream(**source, *writer);
      return copied.ok() ? writer->close() : writer->close(copied.error());
    });
  }
  ~ReadAhead() override { reader_.reset(); }  // Ends the thread, which is joined next.
  Result<std::size_t> read(std::span<std::byte> buffer) override { return reader_->read(buffer); }

 private:
  std::jthread thread_;
  std::unique_ptr<ByteSource> reader_;
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
