#include "registry/copy.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <thread>

namespace imagebuild::registry {
namespace {

Status skip(ByteSource& source, std::uint64_t count) {
  std::array<std::byte, 32 * 1024> waste{};
  while (count > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count, waste.size()));
    ASSIGN_OR_RETURN(const std::size_t got, source.read(std::span(waste).first(wanted)));
    if (got == 0) return Error{ErrorCode::kCorrupt, "a blob is shorter than it was"};
    count -= got;
  }
  return ok();
}

// The threads of one run_parallel() and what they share.
class Crew {
 public:
  explicit Crew(std::vector<Transfer> transfers) : transfers_(std::move(transfers)) {}

  void request_stop() { stop_.request_stop(); }
  Status run(std::size_t at_once) {
    {
      std::vector<std::jthread> threads;
      const std::size_t count = std::min(std::max<std::size_t>(at_once, 1), transfers_.size());
      for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    }
    if (first_error_) return *first_error_;
    if (next_ < transfers_.size()) return Error{ErrorCode::kCancelled, "stopped"};
    return ok();
  }

 private:
  void work() {
    while (Transfer transfer = take()) {
      const Status done = transfer(stop_.get_token());
      if (!done.ok()) fail(done.error());
    }
  }
  Transfer take() {
    const std::lock_guard lock(mutex_);
    if (next_ == transfers_.size() || stop_.stop_requested()) return nullptr;
    return std::move(transfers_[next_++]);
  }
  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!first_error_) first_error_ = error;
    stop_.request_stop();
  }

  std::mutex mutex_;
  std::vector<Transfer> transfers_;
  std::size_t next_ = 0;
  std::stop_source stop_;
  std::optional<Error> first_error_;
};

}  // namespace

Result<BlobOutcome> copy_blob(Client& client, const oci::Reference& from, const oci::Reference& to,
                              const oci::Descriptor& blob, std::stop_token stop) {
  const BlobOpener open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    // Read from the start, whatever the offset: only the whole can be verified.
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, client.blob(from, blob, stop));
    RETURN_IF_ERROR(skip(*source, offset));
    return source;
  };
  return client.push_blob(to, blob, open, from, stop);
}

Status run_parallel(std::vector<Transfer> transfers, std::size_t at_once, std::stop_token stop) {
  Crew crew(std::move(transfers));
  const std::stop_callback forward(std::move(stop), [&crew] { crew.request_stop(); });
  return crew.run(at_once);
}

}  // namespace imagebuild::registry
