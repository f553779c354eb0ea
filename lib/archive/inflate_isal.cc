#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "archive/inflate.h"

namespace imagebuild::archive {

namespace {

class IsalInflater final : public Inflater {
 public:
  Status begin() override {
    ::isal_inflate_init(&state_);
    state_.crc_flag = ISAL_DEFLATE;
    state_.hist_bits = 0;  // Its initializer leaves this one alone: the whole window.
    beyond_bytes_ = 0;
    return ok();
  }

  Result<Progress> inflate(std::span<const std::byte> in, std::span<std::byte> out) override {
    constexpr std::size_t kMost = 1U << 30;
    in = in.first(std::min(in.size(), kMost));
    out = out.first(std::min(out.size(), kMost));
    // ISA-L does not write to its input; the const is only missing from its type.
    state_.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(in.data()));
    state_.avail_in = static_cast<std::uint32_t>(in.size());
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = static_cast<std::uint32_t>(out.size());
    if (::isal_inflate(&state_) != ISAL_DECOMP_OK) {
      return Error{ErrorCode::kCorrupt, "broken gzip data: invalid deflate blocks"};
    }
    const bool ended = state_.block_state == ISAL_BLOCK_FINISH;
    if (ended) keep_beyond();
    return Progress{in.size() - state_.avail_in, out.size() - state_.avail_out, ended};
  }

  std::span<const std::byte> beyond() const override { return std::span(beyond_).first(beyond_bytes_); }

 private:
  // It reads eight bytes at once. The rest of the byte in which the stream ended is not ours to see.
  void keep_beyond() {
    const auto bits = static_cast<unsigned>(std::max(state_.read_in_length, 0));
    const std::uint64_t rest = state_.read_in >> (bits % 8);
    beyond_bytes_ = std::min<std::size_t>(bits / 8, beyond_.size());
    for (std::size_t i = 0; i < beyond_bytes_; ++i) beyond_[i] = static_cast<std::byte>(rest >> (8 * i));
  }

  inflate_state state_;
  std::array<std::byte, sizeof(std::uint64_t)> beyond_{};
  std::size_t beyond_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Inflater> isal_inflater() {
  return std::make_unique<IsalInflater>();
}

}  // namespace imagebuild::archive
