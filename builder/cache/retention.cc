#include "builder/cache/retention.h"

namespace imagebuild::builder {

bool Retention::keeps(std::int64_t used_s, std::uint64_t own_bytes, const std::vector<SharedFile>& files) {
  std::uint64_t more = own_bytes;
  std::set<std::string> added;
  for (const SharedFile& file : files) {
    if (!named_.contains(file.digest) && added.insert(file.digest).second) more += file.size_bytes;
  }
  is_full_ = is_full_ || bytes_ + more > limits_.max_bytes;
  if (is_full_ || used_s < limits_.unused_before_s) return false;
  bytes_ += more;
  named_.merge(added);
  return true;
}

}  // namespace imagebuild::builder
