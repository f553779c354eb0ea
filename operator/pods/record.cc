#include "operator/pods/record.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "api/job.h"
#include "archive/compress.h"
#include "build/reconcile_names.h"
#include "operator/pods/metadata.h"
#include "registry/base64.h"

namespace imagebuild::op {

namespace {

namespace job = api::job;
using kube::Json;

constexpr std::uint64_t kMaxPlanBytes = 64U << 20;  // Unpacked; the ConfigMap itself has at most 1 MiB.

// As a value of binaryData.
std::string packed(const std::string& text) {
  StringSink bytes;
  const auto gzip = archive::compress_to(bytes, archive::Compression::kGzip, 1);
  // Into memory: neither can fail.
  if (!gzip->write(as_bytes(text)).ok() || !gzip->finish().ok()) std::abort();
  return registry::base64_encode(bytes.text());
}

Result<std::string> unpacked(const std::string& value) {
  std::optional<std::string> bytes = registry::base64_decode(value);
  if (!bytes) return Error{ErrorCode::kCorrupt, "it is not base64"};
  const auto source = archive::decompress(std::make_unique<StringSource>(std::move(*bytes)),
                                          archive::Compression::kGzip, kMaxPlanBytes);
  return read_all(*source, kMaxPlanBytes);
}

// What api::ImageBuild::parse() reads.
std::string build_json(const api::ImageBuild& build, std::int64_t generation) {
  const Json document = {
      {"apiVersion", std::string(api::kGroup) + "/" + api::kVersion},
      {"kind", api::kKind},
      {"metadata", {{"name", build.name}, {"namespace", build.ns}, {"uid", build.uid}, {"generation", generation}}},
      {"spec", Json::parse(api::spec_json(build.spec), nullptr, false)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<api::ImageBuildSpec> resolve_build_args(
    api::ImageBuildSpec spec, const std::function<std::optional<std::string>(const api::KeyRef&)>& value_of) {
  for (api::BuildArg& arg : spec.build_args) {
    if (!arg.value_from || !arg.value_from->config_map_key) continue;
    const api::KeyRef& from = *arg.value_from->config_map_key;
    std::optional<std::string> value = value_of(from);
    if (!value) {
      return Error{ErrorCode::kNotFound, "the build argument '" + arg.name + "' has its value from the key '" +
                                             from.key + "' of the ConfigMap '" + from.name + "', which is not there"};
    }
    arg.value = std::move(value);
    arg.value_from.reset();
  }
  return spec;
}

std::optional<JobText> job_text(const api::ImageBuild& build, std::int64_t generation, const std::string& registries) {
  const bool is_resolved =
      std::ranges::none_of(build.spec.build_args, [](const api::BuildArg& arg) { return arg.value_from.has_value(); });
  if (!is_resolved || registries.size() > kMaxJobTextBytes) return {};
  JobText text{build_json(build, generation), registries};
  if (text.build.size() + text.registries.size() > kMaxJobTextBytes) return {};
  return text;
}

Json make_record(const api::ImageBuild& build, std::int64_t generation, const std::optional<api::Plan>& plan,
                 const std::string& registries) {
  Json binary = {{job::kBuildKey, packed(build_json(build, generation))}};
  if (plan) binary[job::kPlanKey] = packed(plan->json());
  Json record = {{"apiVersion", "v1"},
                 {"kind", "ConfigMap"},
                 {"metadata", object_metadata(build, build::record_name(build, generation), labels(build, generation))},
                 {"binaryData", std::move(binary)}};
  if (!registries.empty()) record["data"] = {{job::kRegistriesKey, registries}};
  return record;
}

Result<std::optional<api::Plan>> plan_in(const Json& record) {
  const std::string value = kube::text_at(record, {"binaryData", job::kPlanKey});
  if (value.empty()) return std::optional<api::Plan>();
  const std::string where = std::string(job::kPlanKey) + " in the ConfigMap " + kube::key_of(record).str();
  const Result<std::string> text = unpacked(value);
  if (!text.ok()) return Error{ErrorCode::kCorrupt, text.error().message}.in(where);
  Result<api::Plan> plan = api::Plan::parse(*text);
  if (!plan.ok()) return plan.error().in(where);
  return std::optional<api::Plan>(std::move(*plan));
}

}  // namespace imagebuild::op
