// How many builds may be under way at once, and who is next.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/resource.h"

namespace imagebuild::op {

// For any thread. Builds that wait get a slot in the order of their ImageBuilds' creation.
class Slots {
 public:
  explicit Slots(std::size_t limit) : limit_(limit) {}  // 0: no limit.

  // Whether the build may be under way. If so it has a slot from now on, else a place in the queue.
  bool request(const std::string& uid, const kube::ObjectKey& key, WallTime created);
  // It was under way already when it was first seen: it has a slot, even one too many.
  void hold(const std::string& uid);
  // It needs none any more. Returns who may ask again now.
  std::vector<kube::ObjectKey> release(const std::string& uid);
  std::size_t held() const;

 private:
  using Place = std::pair<WallTime, std::string>;
  std::vector<kube::ObjectKey> next() const;

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::set<std::string> held_;
  std::map<Place, kube::ObjectKey> waiting_;
};

}  // namespace imagebuild::op
