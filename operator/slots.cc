#include "operator/slots.h"

#include <algorithm>
#include <iterator>

namespace imagebuild::op {

bool Slots::request(const std::string& uid, const kube::ObjectKey& key, WallTime created) {
  const std::lock_guard lock(mutex_);
  if (held_.contains(uid)) return true;
  const auto [place, added] = waiting_.emplace(Place{created, uid}, key);
  const auto ahead = static_cast<std::size_t>(std::distance(waiting_.begin(), place));
  if (limit_ != 0 && held_.size() + ahead >= limit_) return false;
  waiting_.erase(place);
  held_.insert(uid);
  return true;
}

void Slots::hold(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  held_.insert(uid);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.first.second == uid; });
}

std::vector<kube::ObjectKey> Slots::release(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const bool waited = std::erase_if(waiting_, [&](const auto& entry) { return entry.first.second == uid; }) > 0;
  if (held_.erase(uid) == 0 && !waited) return {};
  return next();
}

std::vector<kube::ObjectKey> Slots::next() const {
  const std::size_t free = limit_ > held_.size() ? limit_ - held_.size() : 0;
  std::vector<kube::ObjectKey> keys;
  for (auto place = waiting_.begin(); place != waiting_.end() && keys.size() < free; ++place) {
    keys.push_back(place->second);
  }
  return keys;
}

std::size_t Slots::held() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

}  // namespace imagebuild::op
