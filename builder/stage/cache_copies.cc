#include "builder/stage/cache_copies.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>

#include "base/file.h"
#include "builder/stage/move_tree.h"
#include "oci/digest.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;

constexpr int kMostCopies = 1000;
constexpr const char* kNew = "new";

void wait_a_little(const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kBetweenTries{50};
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, kBetweenTries, [] { return false; });
}

// Nothing while somebody else is in the way. Where the file system has no locks nobody ever is.
Result<std::optional<UniqueFd>> try_lock(const fs::path& file, int how) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(file, O_RDWR | O_CREAT, 0600));
  while (::flock(fd.get(), how | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::optional<UniqueFd>();
    if (errno != EINTR) break;
  }
  return std::optional<UniqueFd>(std::move(fd));
}

Error stopped() {
  return Error{ErrorCode::kCancelled, "the build was stopped"};
}

class Cache {
 public:
  Cache(const CacheRequest& request, const std::stop_token& stop) : request_(request), stop_(stop) {}

  Result<CacheLease> lease() {
    const bool is_shared = request_.sharing == api::CacheSharing::kShared;
    const int how = is_shared ? LOCK_SH : LOCK_EX;
    const bool waits = request_.sharing == api::CacheSharing::kLocked;
    bool has_told = false;
    for (int copy = 0; copy < kMostCopies;) {
      if (stop_.stop_requested()) return stopped();
      const fs::path folder = request_.folder / (request_.variant + std::to_string(copy));
      ASSIGN_OR_RETURN(std::optional<UniqueFd> lock, try_lock(folder.string() + ".lock", how));
      if (lock) {
        RETURN_IF_ERROR(make_if_missing(folder));
        return CacheLease{folder, std::move(*lock)};
      }
      if (!waits) {
        ++copy;
        continue;
      }
      if (!std::exchange(has_told, true) && request_.on_wait) request_.on_wait();
      wait_a_little(stop_);
    }
    return Error{ErrorCode::kLimit, "a cache is used by more than 1000 steps at once"};
  }

 private:
  static bool exists(const fs::path& folder) {
    std::error_code error;
    return fs::is_directory(folder, error);
  }

  // Several steps that share the copy may come at once: one makes it, and a half-made one is never seen.
  Status make_if_missing(const fs::path& folder) {
    while (!exists(folder)) {
      if (stop_.stop_requested()) return stopped();
      ASSIGN_OR_RETURN(const std::optional<UniqueFd> making, try_lock(request_.folder / "making.lock", LOCK_EX));
      if (!making) {
        wait_a_little(stop_);
        continue;
      }
      if (exists(folder)) break;
      ASSIGN_OR_RETURN(const UniqueFd all, open_file(request_.folder, O_RDONLY | O_DIRECTORY));
      RETURN_IF_ERROR(remove_tree(all.get(), kNew));  // Of one who was killed.
      RETURN_IF_ERROR(request_.make(all.get(), kNew));
      const std::string name = folder.filename().string();
      if (::renameat(all.get(), kNew, all.get(), name.c_str()) != 0) return system_error("cannot make a cache", errno);
    }
    return imagebuild::ok();
  }

  const CacheRequest& request_;
  const std::stop_token& stop_;
};

}  // namespace

Result<CacheLease> lease_cache(const CacheRequest& request, const std::stop_token& stop) {
  return Cache(request, stop).lease();
}

std::string cache_variant(const api::CacheMount& mount, const std::string& source_identity) {
  const api::CacheMount plain;
  if (!mount.from && mount.mode == plain.mode && mount.uid == plain.uid && mount.gid == plain.gid) return "";
  const std::string text = std::to_string(mount.mode) + " " + std::to_string(mount.uid) + " " +
                           std::to_string(mount.gid) + " " + source_identity;
  return std::string(oci::Digest::of(text).hex()).substr(0, 16) + ".";
}

}  // namespace imagebuild::builder
