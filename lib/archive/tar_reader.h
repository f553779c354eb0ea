// Reads tar archives that nobody vouches for. libarchive does the parsing, with only the tar format enabled.
#pragma once

#include <memory>
#include <optional>

#include "archive/node.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

// Bounds that keep a hostile archive from filling this machine; beyond one, kLimit says which.
struct ReadLimits {
  std::uint64_t max_entries = 4'000'000;
  std::uint64_t max_content_bytes = 1ULL << 40;  // Of all entries together, sparse holes counted.
  std::size_t max_path_bytes = 4096;
  std::size_t max_path_depth = 512;
  std::uint64_t max_xattr_bytes = 1U << 20;  // An entry.
};

class TarReader {
 public:
  // `source` must outlive the reader and hold an uncompressed tar.
  static Result<TarReader> open(ByteSource& source, const ReadLimits& limits = {});
  TarReader(TarReader&&) noexcept;
  TarReader& operator=(TarReader&&) noexcept;
  ~TarReader();

  // The next entry, or nothing at the end. Its path is cleaned ("./a//b/" → "a/b"); a path or hard-link target with a
  // ".." part, an absolute hard-link target with one, a negative size, an unknown type or a broken header is kCorrupt
  // (an unknown type letter is a file, as POSIX says). A name of more than 255 bytes is kLimit. Leading slashes are
  // dropped. Names are bytes, whatever the locale and the pax header's character set. Whiteout names are not
  // interpreted here. star's and GNU tar's own records of ACLs and file flags are not read; the extended attributes
  // are.
  Result<std::optional<Node>> next();
  // The content of the entry that next() returned last; valid until the next call of next().
  ByteSource& content();

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Any archive that ADD unpacks (tar, alone or in gzip, bzip2, xz, zstd): the first bytes decide. Returns an
// uncompressed tar stream, or nothing when the content is not an archive at all (ADD then copies the file).
Result<std::unique_ptr<ByteSource>> open_if_archive(std::unique_ptr<ByteSource> content);

}  // namespace imagebuild::archive
