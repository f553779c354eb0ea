#include <zstd.h>

#include <algorithm>
#include <vector>

#include "archive/compress.h"
#include "archive/gzip_source.h"
#include "archive/inflate.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 128 * 1024;
constexpr int kMaxZstdWindowLog = 27;  // 128 MiB; what zstd itself accepts without being asked for more.

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, what};
}

// The bound on what comes out.
class CappedSource final : public ByteSource {
 public:
  CappedSource(std::unique_ptr<ByteSource> source, std::uint64_t max_bytes)
      : source_(std::move(source)), left_(max_bytes) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (buffer.empty()) return Error{ErrorCode::kInternal, "a read into an empty buffer"};
    // Once the bound is reached, one byte more shows whether it is exceeded.
    std::byte probe{};
    const bool probing = left_ == 0;
    if (!probing && buffer.size() > left_) buffer = buffer.first(static_cast<std::size_t>(left_));
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(probing ? std::span(&probe, 1) : buffer));
    if (probing && count > 0) return Error{ErrorCode::kLimit, "the data unpacks to more than it is allowed to"};
    left_ -= count;
    return count;
  }

 private:
  std::unique_ptr<ByteSource> source_;
  std::uint64_t left_;
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)), input_(kInputBytes), context_(ZSTD_createDCtx()) {
    if (context_) ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (!context_) return Error{ErrorCode::kInternal, "not enough memory to unpack zstd"};
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !flushing_) {
        ASSIGN_OR_RETURN(const std::size_t count, source_->read(input_));
        in_ = {input_.data(), count, 0};
        if (count == 0) return end();
      }
      const std::size_t wanted = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(wanted) != 0) return corrupt(std::string("broken zstd data: ") + ZSTD_getErrorName(wanted));
      frame_open_ = wanted != 0;
      any_ = true;
      // A full output may mean that zstd holds more for us without further input.
      flushing_ = frame_open_ && out.pos == out.size;
    }
    return out.pos;
  }

 private:
  Result<std::size_t> end() const {
    if (!any_) return corrupt("the zstd data is empty");
    if (frame_open_) return corrupt("the zstd data ends too early");
    return std::size_t{0};
  }

  std::unique_ptr<ByteSource> source_;
  std::vector<std::byte> input_;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> context_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool frame_open_ = false;
  bool flushing_ = false;
  bool any_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source, Compression kind, std::uint64_t max_bytes) {
  switch (kind) {
    case Compression::kGzip:
      source = unpack_gzip(std::move(source), make_inflater());
      break;
    case Compression::kZstd:
      source = std::make_unique<ZstdSource>(std::move(source));
      break;
    case Compression::kNone:
      break;
  }
  return std::make_unique<CappedSource>(std::move(source), max_bytes);
}

}  // namespace imagebuild::archive
