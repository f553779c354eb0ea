// What builders reported: checks and keeps the newest of each pod, until its ImageBuild is gone.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "api/plan.h"
#include "api/told.h"
#include "base/result.h"

namespace imagebuild::op {

// What is known of one pod.
struct Heard {
  api::Told told;  // Without plan_json.
  std::shared_ptr<const api::Plan> plan;
};

// For any thread. Reports reach this process only (their address is its own), so the key that signs them is its own
// too.
class Reports {
 public:
  // More of what a pod told (the plan apart) is not kept: log lines and messages are cut for it.
  static constexpr std::size_t kMaxToldBytes = 256U << 10;
  // Of so many forgotten builds late reports are refused; pods do not outlive their build for long.
  static constexpr std::size_t kMaxGone = 4096;

  // `on_told` is called after something new was kept.
  explicit Reports(std::function<void(const std::string& ns, const std::string& build)> on_told);

  // The bearer token for a report's path (report_path() in pods/pod.h).
  std::string sign(std::string_view path) const;
  // Whether a request may report there: 204, or the status to refuse it with before its body is read.
  int admit(std::string_view path, std::string_view authorization) const;
  // One report: the HTTP status of the answer. 204 kept, 400 malformed, 401 wrong token, 404 no such path or build.
  int take(std::string_view path, std::string_view authorization, std::string_view body);

  // Keeps what was learnt in another way (a pod's log). kCorrupt when its plan is none, kLimit when it is too long to
  // keep, kNotFound for a build that was forgotten.
  Status tell(const std::string& uid, const std::string& pod, api::Told told);
  std::optional<Heard> find(const std::string& uid, const std::string& pod) const;
  // What was heard of the build is not needed any more.
  void drop(const std::string& uid);
  // The build is gone for good: what its pods still say is refused.
  void forget(const std::string& uid);

 private:
  std::function<void(const std::string& ns, const std::string& build)> on_told_;
  std::string key_;
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, Heard>> heard_;  // By UID, by pod.
  std::set<std::string> gone_;
  std::deque<std::string> gone_in_order_;
};

}  // namespace imagebuild::op
