// Raw deflate streams (RFC 1951), unpacked by one of two libraries: zlib, which every program has, and ISA-L, which is
// about twice as fast but has no archive to link a static program with. What frames the streams is gzip_source.h's.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"

namespace imagebuild::archive {

class Inflater {
 public:
  struct Progress {
    std::size_t taken = 0;  // Of the input.
    std::size_t made = 0;   // Of the output.
    bool ended = false;     // The stream is complete, and all of its output was given.
  };
  virtual ~Inflater() = default;
  // Before every stream, the first one included. kInternal: not enough memory.
  virtual Status begin() = 0;
  // Goes on with the stream; no call after its end. An empty input takes out what is left from the input before. Broken
  // data is kCorrupt. Neither taken nor made means that more input is wanted.
  virtual Result<Progress> inflate(std::span<const std::byte> in, std::span<std::byte> out) = 0;
  // After the end: the last bytes of what was taken that lie behind the stream, at most 8.
  virtual std::span<const std::byte> beyond() const = 0;
};

using MakeInflater = std::unique_ptr<Inflater> (*)();

std::unique_ptr<Inflater> zlib_inflater();
// Only for programs that are linked with ISAL_LIBRARIES (cmake/Libraries.cmake).
std::unique_ptr<Inflater> isal_inflater();

// What decompress() unpacks gzip with in this process; zlib until somebody says otherwise. For main(), before it starts
// a thread. Both give the same bytes and the same errors; only of data that is both broken and cut short one may say
// the one and the other the other.
void inflate_with(MakeInflater make);
// The one chosen.
std::unique_ptr<Inflater> make_inflater();

}  // namespace imagebuild::archive
