#include "operator/reports.h"

#include <algorithm>
#include <array>
#include <utility>

#include "build/reconcile_names.h"
#include "oci/hmac.h"

namespace imagebuild::op {

namespace {

constexpr std::string_view kRoot = "/v1/reports/";

// "/v1/reports/<namespace>/<imagebuild>/<uid>/<pod>"
struct Address {
  std::string ns, build, uid, pod;
};

std::optional<Address> parse_path(std::string_view path) {
  if (!path.starts_with(kRoot)) return std::nullopt;
  path.remove_prefix(kRoot.size());
  std::array<std::string, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = i + 1 == parts.size() ? path.size() : path.find('/');
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    parts[i] = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  if (parts[3].find('/') != std::string::npos) return std::nullopt;
  return Address{parts[0], parts[1], parts[2], parts[3]};
}

// What is kept of it.
Result<api::Told> cut(api::Told told) {
  if (told.json().size() <= Reports::kMaxToldBytes) return told;
  const std::string text = told.short_json(Reports::kMaxToldBytes);
  if (text.size() > Reports::kMaxToldBytes) return Error{ErrorCode::kLimit, "what a builder told is too long"};
  return api::Told::parse(text);
}

}  // namespace

Reports::Reports(std::function<void(const std::string&, const std::string&)> on_told)
    : on_told_(std::move(on_told)), key_(oci::random_bytes(32)) {}

std::string Reports::sign(std::string_view path) const {
  return oci::hmac_sha256_hex(key_, path);
}

int Reports::admit(std::string_view path, std::string_view authorization) const {
  if (!parse_path(path)) return 404;
  constexpr std::string_view kBearer = "Bearer ";
  const bool good =
      authorization.starts_with(kBearer) && oci::same_secret(authorization.substr(kBearer.size()), sign(path));
  return good ? 204 : 401;
}

int Reports::take(std::string_view path, std::string_view authorization, std::string_view body) {
  if (const int status = admit(path, authorization); status != 204) return status;
  const Address address = *parse_path(path);
  auto told = api::Told::parse(body);
  if (!told.ok()) return 400;
  const Status kept = tell(address.uid, address.pod, std::move(*told));
  if (!kept.ok()) return kept.error().code == ErrorCode::kNotFound ? 404 : 400;
  on_told_(address.ns, address.build);
  return 204;
}

Status Reports::tell(const std::string& uid, const std::string& pod, api::Told told) {
  Heard heard;
  // Plans are large, and a stage's container runs whatever it likes: it shall not fill our memory.
  if (!build::is_prepare_pod_name(pod)) told.plan_json.clear();
  if (!told.plan_json.empty()) {
    ASSIGN_OR_RETURN(api::Plan plan, api::Plan::parse(told.plan_json));
    heard.plan = std::make_shared<const api::Plan>(std::move(plan));
    told.plan_json.clear();
  }
  ASSIGN_OR_RETURN(heard.told, cut(std::move(told)));
  const std::lock_guard lock(mutex_);
  if (gone_.contains(uid)) return Error{ErrorCode::kNotFound, "the build is gone"};
  Heard& known = heard_[uid][pod];
  // Progress that was overtaken, by the end or by later progress.
  if (!heard.told.is_end() && (known.told.is_end() || heard.told.step < known.told.step)) return ok();
  if (!heard.plan) heard.plan = known.plan;
  known = std::move(heard);
  return ok();
}

std::optional<Heard> Reports::find(const std::string& uid, const std::string& pod) const {
  const std::lock_guard lock(mutex_);
  const auto build = heard_.find(uid);
  if (build == heard_.end()) return std::nullopt;
  const auto found = build->second.find(pod);
  return found == build->second.end() ? std::nullopt : std::optional(found->second);
}

void Reports::drop(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  heard_.erase(uid);
}

void Reports::forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  heard_.erase(uid);
  if (!gone_.insert(uid).second) return;
  gone_in_order_.push_back(uid);
  if (gone_in_order_.size() <= kMaxGone) return;
  gone_.erase(gone_in_order_.front());
  gone_in_order_.pop_front();
}

}  // namespace imagebuild::op
