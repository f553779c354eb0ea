// The copies of a cache (RUN --mount=type=cache) in its folder on the volume: which one a step gets, and until when.
//
//   <copy>/            the folder that steps see; "0", "1", …, or with a prefix for caches that begin otherwise
//   <copy>.lock        held (flock) while steps use it
//   making.lock, new/  a copy that is being made
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "api/plan.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild::builder {

// A copy in use, until the end of this object's life.
struct CacheLease {
  std::filesystem::path folder;
  UniqueFd lock;
};

struct CacheRequest {
  std::filesystem::path folder;  // Of the cache's id.
  // Caches of one id that begin otherwise (mode, owner, source) are other caches, as with BuildKit: "" or a name.
  std::string variant;
  api::CacheSharing sharing = api::CacheSharing::kShared;
  // Makes a new copy's content, owner and mode at `name` in the open folder.
  std::function<Status(int folder_fd, const std::string& name)> make;
  std::function<void()> on_wait;  // Called once when somebody else has it and this step has to wait.
};

// shared: the first copy that no step has for itself; private: the first that nobody has; locked: the first copy, when
// nobody has it any more. kCancelled when `stop` is requested meanwhile.
Result<CacheLease> lease_cache(const CacheRequest& request, const std::stop_token& stop);

// The variant of what a mount begins with.
std::string cache_variant(const api::CacheMount& mount, const std::string& source_identity);

}  // namespace imagebuild::builder
