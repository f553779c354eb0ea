#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "archive/compress.h"

namespace imagebuild::archive {

namespace {

constexpr std::size_t kInputBytes = 128 * 1024;
constexpr int kMaxZstdWindowLog = 27;  // 128 MiB; what zstd itself accepts without being asked for more.

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorrupt, what};
}

// What all kinds share: the input buffer and the bound on what comes out.
class CappedSource : public ByteSource {
 public:
  CappedSource(std::unique_ptr<ByteSource> source, std::uint64_t max_bytes)
      : source_(std::move(source)), left_(max_bytes) {}

  Result<std::size_t> read(std::span<std::byte> buffer) final {
    if (buffer.empty()) return Error{ErrorCode::kInternal, "a read into an empty buffer"};
    // Once the bound is reached, one byte more shows whether it is exceeded.
    std::byte probe{};
    const bool probing = left_ == 0;
    if (!probing && buffer.size() > left_) buffer = buffer.first(static_cast<std::size_t>(left_));
    ASSIGN_OR_RETURN(const std::size_t count, produce(probing ? std::span(&probe, 1) : buffer));
    if (probing && count > 0) return Error{ErrorCode::kLimit, "the data unpacks to more than it is allowed to"};
    left_ -= count;
    return count;
  }

 protected:
  // As ByteSource::read().
  virtual Result<std::size_t> produce(std::span<std::byte> buffer) = 0;
  std::unique_ptr<ByteSource> source_;

 private:
  std::uint64_t left_;
};

class PlainSource final : public CappedSource {
 public:
  using CappedSource::CappedSource;

 private:
  Result<std::size_t> produce(std::span<std::byte> buffer) override { return source_->read(buffer); }
};

class GzipSource final : public CappedSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> source, std::uint64_t max_bytes)
      : CappedSource(std::move(source), max_bytes), input_(kInputBytes) {
    ready_ = ::inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK;
  }
  ~GzipSource() override {
    if (ready_) ::inflateEnd(&stream_);
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

 private:
  Result<std::size_t> produce(std::span<std::byte> buffer) override {
    if (!ready_) return Error{ErrorCode::kInternal, "not enough memory to unpack gzip"};
    const auto room = static_cast<uInt>(std::min<std::size_t>(buffer.size(), 1U << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_.avail_out = room;
    while (stream_.avail_out == room && !ended_) RETURN_IF_ERROR(step());
    return static_cast<std::size_t>(room - stream_.avail_out);
  }

  Status step() {
    if (stream_.avail_in == 0) RETURN_IF_ERROR(fill());
    if (!in_member_) return begin_member();
    if (stream_.avail_in == 0) return corrupt("the gzip data ends too early");
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      in_member_ = false;
      return ok();
    }
    if (result != Z_OK && result != Z_BUF_ERROR) {
      return corrupt(std::string("broken gzip data: ") + (stream_.msg == nullptr ? "unknown" : stream_.msg));
    }
    return ok();
  }

  // Between members: another one, or the end; zeros up to the end are padding, as gzip(1) has it.
  Status begin_member() {
    if (stream_.avail_in == 0) {
      ended_ = true;
      return any_member_ ? ok() : Status(corrupt("the gzip data is empty"));
    }
    if (any_member_ && (padding_ || *stream_.next_in == 0)) {
      padding_ = true;
      for (; stream_.avail_in > 0; --stream_.avail_in, ++stream_.next_in) {
        if (*stream_.next_in != 0) return corrupt("there is other data behind the gzip data");
      }
      return ok();
    }
    if (::inflateReset(&stream_) != Z_OK) return Error{ErrorCode::kInternal, "zlib refused to start again"};
    in_member_ = any_member_ = true;
    return ok();
  }

  Status fill() {
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(input_));
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(count);
    return ok();
  }

  std::vector<std::byte> input_;
  z_stream stream_{};
  bool ready_ = false;
  bool in_member_ = false;
  bool any_member_ = false;
  bool padding_ = false;
  bool ended_ = false;
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdSource final : public CappedSource {
 public:
  ZstdSource(std::unique_ptr<ByteSource> source, std::uint64_t max_bytes)
      : CappedSource(std::move(source), max_bytes), input_(kInputBytes), context_(ZSTD_createDCtx()) {
    if (context_) ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

 private:
  Result<std::size_t> produce(std::span<std::byte> buffer) override {
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

  Result<std::size_t> end() const {
    if (!any_) return corrupt("the zstd data is empty");
    if (frame_open_) return corrupt("the zstd data ends too early");
    return std::size_t{0};
  }

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
      return std::make_unique<GzipSource>(std::move(source), max_bytes);
    case Compression::kZstd:
      return std::make_unique<ZstdSource>(std::move(source), max_bytes);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSource>(std::move(source), max_bytes);
}

}  // namespace imagebuild::archive
