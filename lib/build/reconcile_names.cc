#include "build/reconcile_names.h"

#include "oci/digest.h"

namespace imagebuild::build {

namespace {

constexpr std::size_t kMaxName = 63;
constexpr std::size_t kHashDigits = 8;

std::string object_name(const api::ImageBuild& build, std::int64_t generation, const std::string& suffix) {
  const std::string tail = "-" + std::string(oci::Digest::of(build.uid).hex().substr(0, kHashDigits)) + "-" +
                           std::to_string(generation) + "-" + suffix;
  std::string head = build.name.substr(0, kMaxName - tail.size());
  for (char& c : head) {
    if (c == '.') c = '-';
  }
  while (!head.empty() && head.back() == '-') head.pop_back();
  return head + tail;
}

}  // namespace

std::string pod_name(const api::ImageBuild& build, std::int64_t generation, const Work& work, std::int64_t attempt) {
  const std::string what = work.role == PodRole::kPrepare   ? "prepare"
                           : work.role == PodRole::kPublish ? "publish"
                           : work.role == PodRole::kKeep    ? "keep"
                                                            : "s" + std::to_string(work.stage);
  return object_name(build, generation, what + "-" + std::to_string(attempt));
}

bool is_prepare_pod_name(std::string_view name) {
  const std::size_t end = name.find_last_not_of("0123456789");
  return end != std::string_view::npos && end + 1 < name.size() && name.substr(0, end + 1).ends_with("-prepare-");
}

std::string claim_name(const api::ImageBuild& build, std::int64_t generation) {
  return object_name(build, generation, "artifacts");
}

std::string record_name(const api::ImageBuild& build, std::int64_t generation) {
  return object_name(build, generation, "plan");
}

}  // namespace imagebuild::build
