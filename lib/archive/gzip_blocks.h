// gzip in independent blocks, compressed side by side.
#pragma once

#include <memory>

#include "archive/compress.h"

namespace imagebuild::archive {

// See compress_to(). At most 2 × `threads` blocks are in memory; one thread works inline, without starting any.
std::unique_ptr<CompressingSink> gzip_blocks(ByteSink& out, unsigned threads);

}  // namespace imagebuild::archive
