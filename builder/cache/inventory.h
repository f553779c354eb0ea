// What a cache has, result by result, and how it is made smaller: by age and by size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace imagebuild::builder {

struct CacheLimits {
  std::uint64_t max_bytes = UINT64_MAX;  // Of all that is there.
  std::int64_t unused_before_s = 0;      // What was used last before this (seconds since 1970) goes.
};

struct CacheEntry {
  std::string key;  // 64 hexadecimal digits
  std::string title;
  std::uint64_t size_bytes = 0;  // Of the files it names, shared ones too.
  std::int64_t used_s = 0;       // Seconds since 1970.
};

struct CacheUsage {
  std::uint64_t records = 0;
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;  // Of records and blobs, shared ones once.
};

class CacheInventory {
 public:
  virtual ~CacheInventory() = default;
  // The last used one first.
  virtual Result<std::vector<CacheEntry>> entries() const = 0;
  virtual CacheUsage usage() const = 0;
  // Removes records until the limits hold, those first that were not used for longest, and the files that no other
  // record names. Returns the bytes that were freed.
  virtual Result<std::uint64_t> prune(const CacheLimits& limits) const = 0;
};

}  // namespace imagebuild::builder
