// The reasons that conditions, stages and events of an ImageBuild give, each said once: code names them by these
// constants, and the documentation is checked against the table.
#pragma once

#include <span>
#include <string_view>

namespace imagebuild::api::reason {

// The build goes on.
inline constexpr const char* kQueued = "Queued";
inline constexpr const char* kPreparing = "Preparing";
inline constexpr const char* kBuilding = "Building";
inline constexpr const char* kPublishing = "Publishing";
inline constexpr const char* kRetrying = "Retrying";
inline constexpr const char* kCancelling = "Cancelling";
// The build waits for something outside; it goes on by itself when that heals before the deadline.
inline constexpr const char* kUnschedulable = "Unschedulable";
inline constexpr const char* kImagePull = "ImagePull";
inline constexpr const char* kContainerConfig = "ContainerConfig";
inline constexpr const char* kMissingSecret = "MissingSecret";
inline constexpr const char* kMissingConfigMap = "MissingConfigMap";
inline constexpr const char* kMissingClaim = "MissingClaim";
inline constexpr const char* kMissingStorageClass = "MissingStorageClass";
inline constexpr const char* kQuota = "Quota";
inline constexpr const char* kForbidden = "Forbidden";
inline constexpr const char* kServerUnavailable = "ServerUnavailable";
// The build ended, or was told to stop.
inline constexpr const char* kSucceeded = "Succeeded";
inline constexpr const char* kSuspended = "Suspended";
inline constexpr const char* kCancelled = "Cancelled";
// The build failed, and only a person or a new spec can help.
inline constexpr const char* kInvalidSpec = "InvalidSpec";
inline constexpr const char* kInvalidInput = "InvalidInput";
inline constexpr const char* kUnsupported = "Unsupported";
inline constexpr const char* kNotFound = "NotFound";
inline constexpr const char* kAccessDenied = "AccessDenied";
inline constexpr const char* kStepFailed = "StepFailed";
inline constexpr const char* kLimitExceeded = "LimitExceeded";
inline constexpr const char* kOutOfMemory = "OutOfMemory";
inline constexpr const char* kInvalidPod = "InvalidPod";
inline constexpr const char* kContainerFailed = "ContainerFailed";
inline constexpr const char* kDeadlineExceeded = "DeadlineExceeded";
inline constexpr const char* kStageDeadlineExceeded = "StageDeadlineExceeded";
inline constexpr const char* kRetriesExhausted = "RetriesExhausted";
// The infrastructure lost an attempt.
inline constexpr const char* kEvicted = "Evicted";
inline constexpr const char* kPodLost = "PodLost";
inline constexpr const char* kInfrastructure = "Infrastructure";
// Events.
inline constexpr const char* kBuildStarted = "BuildStarted";
inline constexpr const char* kBuildSuperseded = "BuildSuperseded";
inline constexpr const char* kBuildWaiting = "BuildWaiting";
inline constexpr const char* kBuildSuspended = "BuildSuspended";
inline constexpr const char* kBuildResumed = "BuildResumed";
inline constexpr const char* kBuildSucceeded = "BuildSucceeded";
inline constexpr const char* kBuildFailed = "BuildFailed";
inline constexpr const char* kBuildCancelled = "BuildCancelled";
inline constexpr const char* kBuildWarnings = "BuildWarnings";
inline constexpr const char* kPrepared = "Prepared";
inline constexpr const char* kStageStarted = "StageStarted";
inline constexpr const char* kStageSucceeded = "StageSucceeded";
inline constexpr const char* kStageFailed = "StageFailed";
inline constexpr const char* kAttemptLost = "AttemptLost";

enum class Kind { kProgress, kWaiting, kEnd, kFailure, kLost, kEvent };

struct Reason {
  std::string_view name;
  Kind kind;
  std::string_view meaning;  // For the documentation: a sentence, and what to do about it.
};

inline constexpr Reason kTable[] = {
    {kQueued, Kind::kProgress, "The operator runs as many builds as it may; this one starts when another ends."},
    {kPreparing, Kind::kProgress, "The source is fetched and the Dockerfile is solved."},
    {kBuilding, Kind::kProgress, "Stages run."},
    {kPublishing, Kind::kProgress, "The image is assembled and pushed."},
    {kRetrying, Kind::kProgress, "The infrastructure lost a pod; the next attempt starts after a short delay."},
    {kCancelling, Kind::kProgress, "The build was cancelled; its pods are ending."},

    {kUnschedulable, Kind::kWaiting,
     "No node has room for a pod, or none fits its selectors. The message is the scheduler's."},
    {kImagePull, Kind::kWaiting,
     "A node cannot pull an image. Check that the node reaches the registry, and `spec.imagePullSecrets`."},
    {kContainerConfig, Kind::kWaiting, "A container cannot be created, often because a key of a Secret is missing."},
    {kMissingSecret, Kind::kWaiting, "A Secret that the spec names, or its key, does not exist. Create it."},
    {kMissingConfigMap, Kind::kWaiting, "A ConfigMap that the spec names, or its key, does not exist. Create it."},
    {kMissingClaim, Kind::kWaiting, "A PersistentVolumeClaim that the spec names does not exist. Create it."},
    {kMissingStorageClass, Kind::kWaiting,
     "The StorageClass of the artifact claim does not exist, or the cluster has no default one."},
    {kQuota, Kind::kWaiting, "A ResourceQuota of the namespace refuses a pod or the artifact claim."},
    {kForbidden, Kind::kWaiting,
     "An admission policy refuses a pod or the artifact claim, or its service account does not exist."},
    {kServerUnavailable, Kind::kWaiting,
     "The API server did not create a pod or the artifact claim; it is asked again."},

    {kSucceeded, Kind::kEnd, "The image is in the registry."},
    {kSuspended, Kind::kEnd, "`spec.suspend` is set. Unset it to go on."},
    {kCancelled, Kind::kEnd, "`spec.cancel` is set. Unset it to build anew."},

    {kInvalidSpec, Kind::kFailure, "The spec is wrong; the message names the field. Nothing was started."},
    {kInvalidInput, Kind::kFailure, "The Dockerfile or the source is wrong, or the spec does not fit the Dockerfile."},
    {kUnsupported, Kind::kFailure, "The Dockerfile asks for something that this version does not do."},
    {kNotFound, Kind::kFailure, "A revision, file, image or stage that is named does not exist."},
    {kAccessDenied, Kind::kFailure, "A Git server or registry refused the credentials, or wants some."},
    {kStepFailed, Kind::kFailure, "A command of a `RUN` ended with an error. `status.failure` has its last lines."},
    {kLimitExceeded, Kind::kFailure, "A bound that protects the builder was hit."},
    {kOutOfMemory, Kind::kFailure, "A container used more memory than its limit. Raise the limit of the stage."},
    {kInvalidPod, Kind::kFailure, "The API server calls a pod or claim invalid; the message names the field."},
    {kContainerFailed, Kind::kFailure, "A container ended with an error and said nothing more. Look at its log."},
    {kDeadlineExceeded, Kind::kFailure, "The build took longer than `spec.timeout`."},
    {kStageDeadlineExceeded, Kind::kFailure, "A pod of the build took longer than `spec.stageTimeout`."},
    {kRetriesExhausted, Kind::kFailure, "The infrastructure lost the same work more often than `spec.retries`."},

    {kEvicted, Kind::kLost, "The node evicted or preempted the pod, refused it, or shut down."},
    {kPodLost, Kind::kLost, "The pod was deleted by somebody else, or its node is gone."},
    {kInfrastructure, Kind::kLost, "A registry, a network or the machine failed while the pod ran."},

    {kBuildStarted, Kind::kEvent, "The build left the queue."},
    {kBuildSuperseded, Kind::kEvent, "The spec changed: the build is given up for a new one."},
    {kBuildWaiting, Kind::kEvent, "The build waits for something outside."},
    {kBuildSuspended, Kind::kEvent, "The build was suspended."},
    {kBuildResumed, Kind::kEvent, "The build goes on."},
    {kBuildSucceeded, Kind::kEvent, "The image is in the registry."},
    {kBuildFailed, Kind::kEvent, "The build failed."},
    {kBuildCancelled, Kind::kEvent, "The build was cancelled."},
    {kBuildWarnings, Kind::kEvent, "The build ended, and `status.warnings` has what should be looked at."},
    {kPrepared, Kind::kEvent, "The source was fetched and the Dockerfile is solved."},
    {kStageStarted, Kind::kEvent, "The pod of a stage runs."},
    {kStageSucceeded, Kind::kEvent, "A stage is done."},
    {kStageFailed, Kind::kEvent, "A stage failed."},
    {kAttemptLost, Kind::kEvent, "The infrastructure lost a pod of the build."},
};

// Null for a word that is no reason. Each name is there once.
inline constexpr const Reason* find(std::string_view name) {
  for (const Reason& entry : kTable) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace imagebuild::api::reason
