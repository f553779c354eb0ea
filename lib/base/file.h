// Whole small files, and folders that remove themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild {

// open(2) with O_CLOEXEC; the error names the path.
Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, unsigned mode = 0644);

// The content of a file of at most `max_bytes` (kLimit otherwise).
Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

// Writes beside `path` and renames: a reader sees the old content or the new, never a part, and a crash leaves the old.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

// A new, empty folder with mode 0700, removed with everything in it at the end of its life.
class TempDir {
 public:
  // Created below `parent`, or below $TMPDIR (else /tmp) when `parent` is empty.
  static Result<TempDir> create(std::string_view prefix, const std::filesystem::path& parent = {});
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TempDir(std::filesystem::path path) : path_(std::move(path)) {}
  void remove();
  std::filesystem::path path_;
};

}  // namespace imagebuild
