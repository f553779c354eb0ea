// Compresses a stream in independent blocks, side by side: the bytes do not depend on how many threads work.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "archive/compress.h"

namespace imagebuild::archive {

// Compresses one block into `out`, which it may make larger; returns how many bytes, or 0 if it failed.
using BlockEncoder = std::function<std::size_t(std::span<const std::byte> block, std::vector<std::byte>& out)>;

struct BlockFormat {
  std::size_t block_bytes;
  // Called once for each worker, on its thread; what it returns is used by that worker alone.
  std::function<BlockEncoder()> make_encoder;
};

// Every block becomes one complete stream (a gzip member, a zstd frame), written in order; an empty input is one empty
// block. At most 2 × `threads` + 4 blocks are in memory; one thread works inline, without starting any.
std::unique_ptr<CompressingSink> compress_blocks(ByteSink& out, BlockFormat format, unsigned threads);

}  // namespace imagebuild::archive
