// Reading gzip files (RFC 1952): members in a row, each a header, a deflate stream and two checks.
#pragma once

#include <memory>

#include "archive/inflate.h"
#include "base/stream.h"

namespace imagebuild::archive {

// The uncompressed bytes of all members. Zeros behind the last one are padding, as gzip(1) has it; anything else there,
// a missing end, or data that does not match its checks is kCorrupt.
std::unique_ptr<ByteSource> unpack_gzip(std::unique_ptr<ByteSource> source, std::unique_ptr<Inflater> inflater);

}  // namespace imagebuild::archive
