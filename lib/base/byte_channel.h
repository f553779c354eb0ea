// A pipe between two threads of this process: one writes, one reads, never more than a fixed number of bytes between.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/stream.h"

namespace imagebuild {

// The two ends of a channel are made together and may be destroyed in any order, each by its own thread.
class ByteChannel {
 public:
  class Writer;
  class Reader;
  struct Ends;

  // `capacity_bytes` (at least 1) is all that is held at once; it is allocated now.
  static Ends create(std::size_t capacity_bytes);

 private:
  struct Shared;
};

// For one thread. Destroying it without close() is close(kCancelled): a reader never takes a broken stream for whole.
class ByteChannel::Writer final : public ByteSink {
 public:
  explicit Writer(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() override;

  // Waits while the channel is full. kCancelled when the reader is gone; kInternal after close().
  Status write(std::span<const std::byte> bytes) override;
  // Says that this was all: the reader gets what is left, then the end, or `error` if there is one. Later calls do
  // nothing.
  void close() { finish(std::nullopt); }
  void close(Error error) { finish(std::move(error)); }

 private:
  void finish(std::optional<Error> error);
  std::shared_ptr<Shared> shared_;
};

// For one thread. Destroying it makes the writer fail with kCancelled.
class ByteChannel::Reader final : public ByteSource {
 public:
  explicit Reader(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() override;

  // Waits while the channel is empty and open. 0 is the end; the writer's error, if any, comes after the last byte.
  Result<std::size_t> read(std::span<std::byte> buffer) override;

 private:
  std::shared_ptr<Shared> shared_;
};

struct ByteChannel::Ends {
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Reader> reader;
};

}  // namespace imagebuild
