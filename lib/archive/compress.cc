#include "archive/compress.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "archive/gzip_blocks.h"

namespace imagebuild::archive {

namespace {

constexpr int kZstdLevel = 3;

class PlainSink final : public CompressingSink {
 public:
  explicit PlainSink(ByteSink& out) : out_(out) {}
  Status write(std::span<const std::byte> bytes) override { return out_.write(bytes); }
  Status finish() override { return ok(); }

 private:
  ByteSink& out_;
};

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdSink final : public CompressingSink {
 public:
  ZstdSink(ByteSink& out, unsigned threads) : out_(out), context_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    // Zero workers and one give different bytes; one and more give the same. So there is always one.
    const auto workers = static_cast<int>(std::clamp(threads, 1U, 64U));
    ready_ = context_ && set(ZSTD_c_compressionLevel, kZstdLevel) && set(ZSTD_c_nbWorkers, workers) &&
             set(ZSTD_c_checksumFlag, 1);
  }

  Status write(std::span<const std::byte> bytes) override { return run(bytes, ZSTD_e_continue); }
  Status finish() override { return run({}, ZSTD_e_end); }

 private:
  bool set(ZSTD_cParameter parameter, int value) {
    return ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)) == 0;
  }

  Status run(std::span<const std::byte> bytes, ZSTD_EndDirective what) {
    if (!ready_) return Error{ErrorCode::kInternal, "this build of libzstd cannot compress with worker threads"};
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, what);
      if (ZSTD_isError(left) != 0) {
        return Error{ErrorCode::kInternal, std::string("zstd cannot compress: ") + ZSTD_getErrorName(left)};
      }
      if (out.pos > 0) RETURN_IF_ERROR(out_.write(std::span(buffer_).first(out.pos)));
      if (what == ZSTD_e_end ? left == 0 : in.pos == in.size) return ok();
    }
  }

  ByteSink& out_;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> context_;
  std::vector<std::byte> buffer_;
  bool ready_ = false;
};

bool begins_with(std::span<const std::byte> bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](unsigned char expected, std::byte byte) { return std::byte{expected} == byte; });
}

}  // namespace

std::unique_ptr<CompressingSink> compress_to(ByteSink& out, Compression kind, unsigned threads) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  switch (kind) {
    case Compression::kGzip:
      return gzip_blocks(out, threads);
    case Compression::kZstd:
      return std::make_unique<ZstdSink>(out, threads);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSink>(out);
}

Compression detect_compression(std::span<const std::byte> first_bytes) {
  if (begins_with(first_bytes, {0x1f, 0x8b, 0x08})) return Compression::kGzip;
  if (begins_with(first_bytes, {0x28, 0xb5, 0x2f, 0xfd})) return Compression::kZstd;
  return Compression::kNone;
}

}  // namespace imagebuild::archive
