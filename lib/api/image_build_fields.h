// The fields of an ImageBuild, named once: the reader, the writer and the list of fields all walk over these. Only
// image_build.cc includes this.
#pragma once

#include <string_view>
#include <utility>

#include "api/image_build_spec.h"
#include "api/image_build_status.h"

namespace imagebuild::api::fields {

// The words of an enum in JSON.
template <class E>
struct Words;
template <>
struct Words<Compression> {
  static constexpr std::pair<Compression, std::string_view> kAll[] = {{Compression::kGzip, "gzip"},
                                                                      {Compression::kZstd, "zstd"}};
};
template <>
struct Words<Transport> {
  static constexpr std::pair<Transport, std::string_view> kAll[] = {{Transport::kVolume, "Volume"},
                                                                    {Transport::kRegistry, "Registry"}};
};
template <>
struct Words<ConditionStatus> {
  static constexpr std::pair<ConditionStatus, std::string_view> kAll[] = {
      {ConditionStatus::kUnknown, "Unknown"}, {ConditionStatus::kTrue, "True"}, {ConditionStatus::kFalse, "False"}};
};
template <>
struct Words<BuildPhase> {
  static constexpr std::pair<BuildPhase, std::string_view> kAll[] = {{BuildPhase::kNone, ""},
                                                                     {BuildPhase::kPending, "Pending"},
                                                                     {BuildPhase::kPreparing, "Preparing"},
                                                                     {BuildPhase::kBuilding, "Building"},
                                                                     {BuildPhase::kPublishing, "Publishing"},
                                                                     {BuildPhase::kSucceeded, "Succeeded"},
                                                                     {BuildPhase::kFailed, "Failed"},
                                                                     {BuildPhase::kCancelled, "Cancelled"},
                                                                     {BuildPhase::kSuspended, "Suspended"}};
};
template <>
struct Words<WorkPhase> {
  static constexpr std::pair<WorkPhase, std::string_view> kAll[] = {
      {WorkPhase::kWaiting, "Waiting"},     {WorkPhase::kPending, "Pending"}, {WorkPhase::kRunning, "Running"},
      {WorkPhase::kSucceeded, "Succeeded"}, {WorkPhase::kFailed, "Failed"},   {WorkPhase::kCancelled, "Cancelled"}};
};

// In each walk(), `f("name", member)` names one JSON member. f.always() writes it even when it is the default.
template <class F>
void walk(F& f, SecretRef& v) {
  f("name", v.name);
}
template <class F>
void walk(F& f, ConfigMapRef& v) {
  f("name", v.name);
}
template <class F>
void walk(F& f, KeyRef& v) {
  f("name", v.name);
  f("key", v.key);
}
template <class F>
void walk(F& f, GitSource& v) {
  f("url", v.url);
  f("revision", v.revision);
  f("secretRef", v.secret);
  f("depth", v.depth);
  f("submodules", v.submodules);
}
template <class F>
void walk(F& f, HttpSource& v) {
  f("url", v.url);
  f("sha256", v.sha256);
  f("secretRef", v.secret);
}
template <class F>
void walk(F& f, InlineSource& v) {
  f("files", v.files);
}
template <class F>
void walk(F& f, ClaimSource& v) {
  f("claimName", v.claim_name);
}
template <class F>
void walk(F& f, OciSource& v) {
  f("image", v.image);
}
template <class F>
void walk(F& f, Source& v) {
  f("git", v.git);
  f("http", v.http);
  f("inline", v.inline_files);
  f("configMapRef", v.config_map);
  f("persistentVolumeClaim", v.claim);
  f("oci", v.oci);
  f("subPath", v.sub_path);
}
template <class F>
void walk(F& f, ValueFrom& v) {
  f("configMapKeyRef", v.config_map_key);
}
template <class F>
void walk(F& f, BuildArg& v) {
  f("name", v.name);
  f("value", v.value);
  f("valueFrom", v.value_from);
}
template <class F>
void walk(F& f, BuildSecret& v) {
  f("id", v.id);
  f("secretKeyRef", v.key);
}
template <class F>
void walk(F& f, BuildContext& v) {
  f("name", v.name);
  f("image", v.image);
  f("git", v.files.git);
  f("http", v.files.http);
  f("inline", v.files.inline_files);
  f("configMapRef", v.files.config_map);
  f("persistentVolumeClaim", v.files.claim);
  f("subPath", v.files.sub_path);
}
template <class F>
void walk(F& f, BuildSsh& v) {
  f("id", v.id);
  f("secretKeyRef", v.key);
}
template <class F>
void walk(F& f, CacheMounts& v) {
  f("persistentVolumeClaim", v.claim);
}
template <class F>
void walk(F& f, CacheRegistry& v) {
  f("repository", v.repository);
  f("secretRef", v.secret);
  f("insecure", v.insecure);
}
template <class F>
void walk(F& f, CacheSettings& v) {
  f("persistentVolumeClaim", v.claim);
  f("registry", v.registry);
  f("maxSize", v.max_size);
  f("ttl", v.ttl);
  f("disabled", v.disabled);
}
template <class F>
void walk(F& f, ExtraHost& v) {
  f("ip", v.ip);
  f("hostnames", v.hostnames);
}
template <class F>
void walk(F& f, RunLimit& v) {
  f("name", v.name);
  f.always("soft", v.soft);
  f("hard", v.hard);
}
template <class F>
void walk(F& f, Output& v) {
  f("image", v.image);
  f("additionalTags", v.additional_tags);
  f("pushSecretRef", v.push_secret);
  f("insecure", v.insecure);
  f("compression", v.compression);
  f("labels", v.labels);
  f("annotations", v.annotations);
}
template <class F>
void walk(F& f, ResourceNeeds& v) {
  f("requests", v.requests);
  f("limits", v.limits);
}
template <class F>
void walk(F& f, Toleration& v) {
  f("key", v.key);
  f("operator", v.op);
  f("value", v.value);
  f("effect", v.effect);
  f("tolerationSeconds", v.seconds);
}
template <class F>
void walk(F& f, PodSettings& v) {
  f("resources", v.resources);
  f("nodeSelector", v.node_selector);
  f("tolerations", v.tolerations);
  f("affinity", v.affinity);
  f("runtimeClassName", v.runtime_class_name);
  f("priorityClassName", v.priority_class_name);
  f("serviceAccountName", v.service_account_name);
}
template <class F>
void walk(F& f, StageSettings& v) {
  f("name", v.name);
  walk(f, v.pod);
}
template <class F>
void walk(F& f, ArtifactVolume& v) {
  f("storageClassName", v.storage_class_name);
  f("size", v.size);
  f("accessModes", v.access_modes);
}
template <class F>
void walk(F& f, Artifacts& v) {
  f("transport", v.transport);
  f("volume", v.volume);
  f("repository", v.repository);
}
template <class F>
void walk(F& f, ImageBuildSpec& v) {
  f("source", v.source);
  f("dockerfile", v.dockerfile);
  f("dockerfileInline", v.dockerfile_inline);
  f("target", v.target);
  f("platforms", v.platforms);
  f("buildArgs", v.build_args);
  f("contexts", v.contexts);
  f("secrets", v.secrets);
  f("ssh", v.ssh);
  f("cacheMounts", v.cache_mounts);
  f("cache", v.cache);
  f("extraHosts", v.extra_hosts);
  f("ulimits", v.ulimits);
  f("shmSize", v.shm_size);
  f("output", v.output);
  f("imagePullSecrets", v.image_pull_secrets);
  f("stages", v.stages);
  f("stageDefaults", v.stage_defaults);
  f("artifacts", v.artifacts);
  f("timeout", v.timeout);
  f("stageTimeout", v.stage_timeout);
  f("retries", v.retries);
  f("ttlSecondsAfterFinished", v.ttl_seconds_after_finished);
  f("suspend", v.suspend);
  f("cancel", v.cancel);
}

template <class F>
void walk(F& f, Condition& v) {
  f.always("type", v.type);
  f.always("status", v.status);
  f("observedGeneration", v.observed_generation);
  f("lastTransitionTime", v.last_transition_time);
  f.always("reason", v.reason);
  f.always("message", v.message);
}
template <class F>
void walk(F& f, WorkStatus& v) {
  f.always("phase", v.phase);
  f("reason", v.reason);
  f("pod", v.pod);
  f("node", v.node);
  f("attempts", v.attempts);
  f("retries", v.retries);
  f("startTime", v.start_time);
  f("completionTime", v.completion_time);
}
template <class F>
void walk(F& f, StageStatus& v) {
  f.always("name", v.name);
  walk(f, v.work);
  f("cached", v.cached);
  f("changed", v.changed);
  f("exportBytes", v.export_bytes);
  f("baseImage", v.base_image);
  f("baseDigest", v.base_digest);
  f("step", v.step);
  f("steps", v.steps);
}
template <class F>
void walk(F& f, SourceStatus& v) {
  f("revision", v.revision);
  f("digest", v.digest);
}
template <class F>
void walk(F& f, ImageStatus& v) {
  f("reference", v.reference);
  f("digest", v.digest);
  f("sizeBytes", v.size_bytes);
  f("layers", v.layers);
  f("generation", v.generation);
  f("completionTime", v.completion_time);
}
template <class F>
void walk(F& f, FailureStatus& v) {
  f("stage", v.stage);
  f("step", v.step);
  f("line", v.line);
  f("reason", v.reason);
  f("exitCode", v.exit_code);
  f("message", v.message);
  f("logTail", v.log_tail);
}
template <class F>
void walk(F& f, PastImage& v) {
  f("reference", v.reference);
  f("digest", v.digest);
  f("generation", v.generation);
  f("completionTime", v.completion_time);
}
template <class F>
void walk(F& f, WarningStatus& v) {
  f("rule", v.rule);
  f.always("message", v.message);
  f("line", v.line);
  f("column", v.column);
}
template <class F>
void walk(F& f, BuildIdentity& v) {
  f("generation", v.generation);
  f("specDigest", v.spec_digest);
}
template <class F>
void walk(F& f, ImageBuildStatus& v) {
  f("observedGeneration", v.observed_generation);
  f("build", v.build);
  f("phase", v.phase);
  f("conditions", v.conditions);
  f("startTime", v.start_time);
  f("completionTime", v.completion_time);
  f("duration", v.duration);
  f("waited", v.waited);
  f("waitingSince", v.waiting_since);
  f("source", v.source);
  f("image", v.image);
  f("prepare", v.prepare);
  f("publish", v.publish);
  f("stageSummary", v.stage_summary);
  f("stages", v.stages);
  f("failure", v.failure);
  f("warnings", v.warnings);
  f("history", v.history);
}

}  // namespace imagebuild::api::fields
