#include "base/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/file.h"

namespace imagebuild {

namespace {

// Whoever held the lock before may have removed the file: then we hold a lock that nobody else will ever see.
bool is_still_at(const UniqueFd& fd, const std::filesystem::path& path) {
  struct stat ours {};
  struct stat there {};
  return ::fstat(fd.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

void wait_a_little(const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kBetweenTries{50};
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, kBetweenTries, [] { return false; });
}

}  // namespace

Result<std::optional<LockFile>> LockFile::try_acquire(const std::filesystem::path& path) {
  while (true) {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<LockFile>();
      if (errno == EINTR) continue;
      return system_error("lock " + path.string(), errno);
    }
    if (is_still_at(fd, path)) return std::optional<LockFile>(LockFile(path, std::move(fd)));
  }
}

Result<LockFile> LockFile::acquire(const std::filesystem::path& path, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    ASSIGN_OR_RETURN(std::optional<LockFile> lock, try_acquire(path));
    if (lock) return std::move(*lock);
    wait_a_little(stop);
  }
  return Error{ErrorCode::kCancelled, "stopped while waiting for another build"};
}

LockFile::~LockFile() {
  if (fd_.valid()) ::unlink(path_.c_str());
}

}  // namespace imagebuild
