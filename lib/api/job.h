// How the operator hands work to builder pods: where each thing lies in their containers. What they tell is told.h.
#pragma once

#include <cstddef>
#include <string>

namespace imagebuild::api::job {

// The folder where prepare and publish see what they are to do: files made of the pod's own annotations, or, where that
// is too much for annotations, the keys of the ConfigMap that keeps the build's plan.
inline constexpr const char* kFolder = "/imagebuild/job";
inline constexpr const char* kBuildFile = "imagebuild.json";    // The ImageBuild, build arguments resolved; no status.
inline constexpr const char* kBuildKey = "imagebuild.json.gz";  // The same in the ConfigMap.
inline constexpr const char* kPlanKey = "plan.json.gz";         // Added when prepare is done; for the operator alone.
inline constexpr const char* kRegistriesKey = "registries.yaml";  // The operator's registries file, if it has one.

// prepare: the ConfigMap or claim of spec.source, and the Secret of git or http.
inline constexpr const char* kSource = "/imagebuild/source";
inline constexpr const char* kSourceSecret = "/imagebuild/source-secret";

// prepare: the same for each of spec.contexts, by its index there.
inline constexpr const char* kContexts = "/imagebuild/contexts";
inline constexpr const char* kContextSecrets = "/imagebuild/context-secrets";
inline std::string context_source(std::size_t index) {
  return std::string(kContexts) + "/" + std::to_string(index);
}
inline std::string context_secret(std::size_t index) {
  return std::string(kContextSecrets) + "/" + std::to_string(index);
}

// prepare, publish: Docker credentials, one file a Secret; in publish number 0 is the push Secret if there is one.
inline constexpr const char* kRegistryFolder = "/imagebuild/registry";
inline std::string registry_config(int number) {
  return std::string(kRegistryFolder) + "/" + std::to_string(number) + "/config.json";
}

// prepare, publish: the claim of spec.cache, or the credentials for its repository. No other pod sees either.
inline constexpr const char* kCache = "/imagebuild/cache";
inline constexpr const char* kCacheSecret = "/imagebuild/cache-secret";

// The environment of every builder container. Absent: nobody listens.
inline constexpr const char* kReportUrl = "IMAGEBUILD_REPORT_URL";
inline constexpr const char* kReportToken = "IMAGEBUILD_REPORT_TOKEN";
// The operator takes no longer report; a builder sends none, and leaves it in the log alone.
inline constexpr std::size_t kMaxReportBytes = 32U << 20;

// Kubernetes' default terminationMessagePath, and the size at which the kubelet cuts it.
inline constexpr const char* kTerminationLog = "/dev/termination-log";
inline constexpr std::size_t kMaxTerminationBytes = 4096;

// Before the told JSON in the last line of the logs of prepare and publish.
inline constexpr const char* kToldPrefix = "imagebuild-told: ";

}  // namespace imagebuild::api::job
