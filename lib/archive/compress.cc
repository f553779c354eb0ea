#include "archive/compress.h"

#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "archive/block_sink.h"

namespace imagebuild::archive {

namespace {

constexpr int kGzipLevel = 1;
constexpr std::size_t kGzipBlockBytes = 1U << 20;
constexpr int kZstdLevel = 3;
constexpr std::size_t kZstdBlockBytes = 4U << 20;  // Twice the window of level 3: little is lost at the seams.
constexpr unsigned kMaxDefaultThreads = 16;        // More would cost more memory than time.

class PlainSink final : public CompressingSink {
 public:
  explicit PlainSink(ByteSink& out) : out_(out) {}
  Status write(std::span<const std::byte> bytes) override { return out_.write(bytes); }
  Status finish() override { return ok(); }

 private:
  ByteSink& out_;
};

BlockEncoder gzip_encoder() {
  const std::shared_ptr<libdeflate_compressor> compressor(
      libdeflate_alloc_compressor(kGzipLevel), [](libdeflate_compressor* one) { libdeflate_free_compressor(one); });
  return [compressor](std::span<const std::byte> block, std::vector<std::byte>& out) -> std::size_t {
    if (!compressor) return 0;
    out.resize(libdeflate_gzip_compress_bound(compressor.get(), kGzipBlockBytes));
    return libdeflate_gzip_compress(compressor.get(), block.data(), block.size(), out.data(), out.size());
  };
}

// Not libzstd's own threads: Debian's libzstd.a, which the static program has, is built without them, and a stream made
// with them has other bytes than one made without.
BlockEncoder zstd_encoder() {
  const std::shared_ptr<ZSTD_CCtx> context(ZSTD_createCCtx(), [](ZSTD_CCtx* one) { ZSTD_freeCCtx(one); });
  if (context) {
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  }
  return [context](std::span<const std::byte> block, std::vector<std::byte>& out) -> std::size_t {
    if (!context) return 0;
    out.resize(ZSTD_compressBound(kZstdBlockBytes));
    const std::size_t size = ZSTD_compress2(context.get(), out.data(), out.size(), block.data(), block.size());
    return ZSTD_isError(size) != 0 ? 0 : size;
  };
}

bool begins_with(std::span<const std::byte> bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](unsigned char expected, std::byte byte) { return std::byte{expected} == byte; });
}

}  // namespace

std::unique_ptr<CompressingSink> compress_to(ByteSink& out, Compression kind, unsigned threads) {
  if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxDefaultThreads);
  switch (kind) {
    case Compression::kGzip:
      return compress_blocks(out, {kGzipBlockBytes, gzip_encoder}, threads);
    case Compression::kZstd:
      return compress_blocks(out, {kZstdBlockBytes, zstd_encoder}, threads);
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
