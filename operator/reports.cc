#include "operator/reports.h"

#include <array>
#include <utility>

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
  if (!told.ok() || !tell(address.uid, address.pod, std::move(*told)).ok()) return 400;
  on_told_(address.ns, address.build);
  return 204;
}

Status Reports::tell(const std::string& uid, const std::string& pod, api::Told told) {
  Heard heard;
  if (!told.plan_json.empty()) {
    ASSIGN_OR_RETURN(api::Plan plan, api::Plan::parse(told.plan_json));
    heard.plan = std::make_shared<const api::Plan>(std::move(plan));
    told.plan_json.clear();
  }
  heard.told = std::move(told);
  const std::lock_guard lock(mutex_);
  Heard& known = heard_[uid][pod];
  // Progress that was overtaken by the end.
  if ((known.told.done || known.told.failure) && !heard.told.done && !heard.told.failure) return ok();
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

void Reports::forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  heard_.erase(uid);
}

}  // namespace imagebuild::op
