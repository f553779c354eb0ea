// gzip and zstd streams. The same input gives the same bytes for any number of threads and on any CPU.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

enum class Compression { kNone, kGzip, kZstd };

// A sink that compresses into another one; finish() must be called once, after the last write.
class CompressingSink : public ByteSink {
 public:
  virtual Status finish() = 0;
};

// `out` must outlive the sink. The input is cut into fixed blocks that `threads` workers (0: one per CPU, 16 at most)
// compress, written in order as one standard file: gzip as members of 1 MiB, libdeflate level 1, without name or time;
// zstd as frames of 4 MiB, level 3, with checksums. At most 2 × `threads` + 4 blocks are in memory.
std::unique_ptr<CompressingSink> compress_to(ByteSink& out, Compression kind, unsigned threads = 0);

// What the first bytes say: gzip's and zstd's magic numbers, else none.
Compression detect_compression(std::span<const std::byte> first_bytes);

// The uncompressed bytes of `source`. More than `max_bytes` is kLimit; broken data or a missing end is kCorrupt.
// Several gzip members or zstd frames in a row are one stream.
std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> source, Compression kind,
                                       std::uint64_t max_bytes = UINT64_MAX);

}  // namespace imagebuild::archive
