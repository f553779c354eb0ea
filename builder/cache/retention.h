// Which results of a cache stay when it is made smaller: the same for every place where results are kept.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "builder/cache/inventory.h"

namespace imagebuild::builder {

// A file that a result names, and that others may name too.
struct SharedFile {
  std::string digest;
  std::uint64_t size_bytes = 0;
};

// Asked about one result after another, the last used one first.
class Retention {
 public:
  explicit Retention(const CacheLimits& limits) : limits_(limits) {}

  // Whether a result stays. `own_bytes` is what it takes apart from its files. From the first one on that has no room
  // none stays, so that what is left is what was used last.
  bool keeps(std::int64_t used_s, std::uint64_t own_bytes, const std::vector<SharedFile>& files);

  // Whether a result that stays names the file.
  bool names(const std::string& digest) const { return named_.contains(digest); }
  // Of what stays, files that several name once.
  std::uint64_t bytes() const { return bytes_; }

 private:
  const CacheLimits limits_;
  std::set<std::string> named_;
  std::uint64_t bytes_ = 0;
  bool is_full_ = false;
};

}  // namespace imagebuild::builder
