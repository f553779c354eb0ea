// Streams that are read ahead of their turn: a thread reads, into memory of a fixed size or into a nameless file.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "base/result.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace imagebuild::cli {

using OpenSource = std::function<Result<std::unique_ptr<ByteSource>>()>;

// Reads what `open` gives on a thread of its own, about `capacity_bytes` ahead of whoever reads the result. An error
// comes after the bytes before it.
std::unique_ptr<ByteSource> read_ahead(OpenSource open, std::size_t capacity_bytes);

// A blob on its way to a nameless file in `folder`. It goes on at the network's speed whether or not anybody reads.
class Spool {
 public:
  static Result<std::unique_ptr<Spool>> start(OpenSource open, const std::filesystem::path& folder);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // What has been fetched, then what is still to come, from the beginning; the fetching's error comes where it
  // happened. The spool must outlive it.
  std::unique_ptr<ByteSource> reader();

 private:
  class Reader;
  explicit Spool(UniqueFd file) : file_(std::move(file)) {}
  void fetch(const OpenSource& open, const std::stop_token& stop);

  UniqueFd file_;
  std::mutex mutex_;
  std::condition_variable grown_;
  std::uint64_t fetched_bytes_ = 0;
  bool ended_ = false;
  std::optional<Error> error_;
  std::jthread thread_;
};

}  // namespace imagebuild::cli
