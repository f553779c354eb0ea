#include "archive/block_sink.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace imagebuild::archive {

namespace {

constexpr std::size_t kSpareBlocks = 4;

struct Block {
  std::vector<std::byte> in;
  std::vector<std::byte> out;
  std::size_t out_bytes = 0;
  bool done = false;  // Guarded by the pool's mutex.
};

void encode(const BlockEncoder& encoder, Block& block) {
  block.out_bytes = encoder(block.in, block.out);
}

// Workers that compress blocks in any order; started with the first block.
class Pool {
 public:
  Pool(const BlockFormat& format, unsigned threads) : format_(format), threads_(threads) {}
  ~Pool() {
    for (std::jthread& worker : workers_) worker.request_stop();
  }

  void start(Block& block) {
    {
      const std::lock_guard lock(mutex_);
      todo_.push_back(&block);
    }
    changed_.notify_all();
    if (workers_.size() < threads_) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  bool is_done(const Block& block) {
    const std::lock_guard lock(mutex_);
    return block.done;
  }
  void wait_for(const Block& block) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return block.done; });
  }

 private:
  void work(const std::stop_token& stop) {
    const BlockEncoder encoder = format_.make_encoder();
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return !todo_.empty(); })) {
      Block& block = *todo_.front();
      todo_.pop_front();
      lock.unlock();
      encode(encoder, block);
      lock.lock();
      block.done = true;
      changed_.notify_all();
      if (stop.stop_requested()) return;
    }
  }

  const BlockFormat& format_;
  const unsigned threads_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Block*> todo_;
  std::vector<std::jthread> workers_;  // Last: they end before what they use does.
};

class BlockSink final : public CompressingSink {
 public:
  BlockSink(ByteSink& out, BlockFormat format, unsigned threads)
      : out_(out), format_(std::move(format)), threads_(threads), pool_(format_, threads) {}

  Status write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      if (!current_) current_ = fresh_block();
      const std::size_t count = std::min(bytes.size(), format_.block_bytes - current_->in.size());
      current_->in.insert(current_->in.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
      if (current_->in.size() == format_.block_bytes) RETURN_IF_ERROR(submit());
    }
    return ok();
  }

  Status finish() override {
    if (!current_ && !any_) current_ = fresh_block();  // An empty input is one empty block.
    if (current_) RETURN_IF_ERROR(submit());
    while (!in_flight_.empty()) RETURN_IF_ERROR(write_oldest());
    return ok();
  }

 private:
  std::unique_ptr<Block> fresh_block() {
    if (spare_.empty()) {
      auto block = std::make_unique<Block>();
      block->in.reserve(format_.block_bytes);
      return block;
    }
    std::unique_ptr<Block> block = std::move(spare_.back());
    spare_.pop_back();
    block->in.clear();
    block->out_bytes = 0;
    block->done = false;
    return block;
  }

  Status submit() {
    any_ = true;
    if (threads_ == 1) {
      if (!inline_encoder_) inline_encoder_ = format_.make_encoder();
      encode(inline_encoder_, *current_);
      return write_out(std::move(current_));
    }
    pool_.start(*current_);
    in_flight_.push_back(std::move(current_));
    // One block fewer than the bound, for the one that the caller fills next. Those beyond one for each worker keep all
    // of them busy while the caller waits: for the oldest block, for the disk or for a core.
    while (in_flight_.size() >= 2UL * threads_ + kSpareBlocks) RETURN_IF_ERROR(write_oldest());
    while (!in_flight_.empty() && pool_.is_done(*in_flight_.front())) RETURN_IF_ERROR(write_oldest());
    return ok();
  }

  Status write_oldest() {
    pool_.wait_for(*in_flight_.front());
    std::unique_ptr<Block> block = std::move(in_flight_.front());
    in_flight_.pop_front();
    return write_out(std::move(block));
  }

  Status write_out(std::unique_ptr<Block> block) {
    if (block->out_bytes == 0) return Error{ErrorCode::kInternal, "not enough memory to compress"};
    RETURN_IF_ERROR(out_.write(std::span(block->out).first(block->out_bytes)));
    spare_.push_back(std::move(block));
    return ok();
  }

  ByteSink& out_;
  const BlockFormat format_;
  const unsigned threads_;
  BlockEncoder inline_encoder_;
  bool any_ = false;
  std::unique_ptr<Block> current_;
  std::vector<std::unique_ptr<Block>> spare_;
  std::deque<std::unique_ptr<Block>> in_flight_;
  Pool pool_;  // Last: its workers end before the blocks do.
};

}  // namespace

std::unique_ptr<CompressingSink> compress_blocks(ByteSink& out, BlockFormat format, unsigned threads) {
  return std::make_unique<BlockSink>(out, std::move(format), std::max(threads, 1U));
}

}  // namespace imagebuild::archive
