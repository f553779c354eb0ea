#include "builder/transfer/stage_end.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "base/file.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kFirstPause{20}, kLongestPause{500};

// Whether nobody holds the stage's lock. A folder that is not there yet is not locked either.
Result<bool> unlocked(const fs::path& folder) {
  const Result<UniqueFd> fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) return fd.error().code == ErrorCode::kNotFound ? Result<bool>(true) : Result<bool>(fd.error());
  if (::flock(fd->get(), LOCK_SH | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  return system_error("cannot see whether " + folder.string() + " is locked", errno);
}

bool holds_nothing(const fs::path& folder) {
  std::error_code error;
  const bool empty = fs::is_empty(folder, error);
  return error || empty;
}

void pause(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

Status wait_for_stage_end(const fs::path& folder, const std::stop_token& stop,
                          const std::function<void(std::chrono::milliseconds)>& sleep) {
  bool begun = false;
  for (std::chrono::milliseconds time = kFirstPause;; time = std::min(time * 2, kLongestPause)) {
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped before the stage was done"};
    // In this order: the stage locks before it writes anything.
    begun = begun || !holds_nothing(folder);
    ASSIGN_OR_RETURN(const bool is_free, unlocked(folder));
    if (is_free && begun) return ok();
    begun = begun || !is_free;
    if (sleep) {
      sleep(time);
    } else {
      pause(time, stop);
    }
  }
}

}  // namespace imagebuild::builder
