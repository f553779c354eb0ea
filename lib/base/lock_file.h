// A lock between processes and threads that is a file: flock(2), gone with its holder however that ends.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild {

class LockFile {
 public:
  // Waits until the lock is ours; kCancelled when `stop` is requested meanwhile.
  static Result<LockFile> acquire(const std::filesystem::path& path, const std::stop_token& stop);
  // Nothing when somebody else holds it.
  static Result<std::optional<LockFile>> try_acquire(const std::filesystem::path& path);

  LockFile(LockFile&& other) noexcept = default;
  LockFile& operator=(LockFile&& other) = delete;
  // Removes the file and releases the lock.
  ~LockFile();

 private:
  LockFile(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace imagebuild
