#include "build/reconcile_verdict.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "api/reasons.h"

namespace imagebuild::build {

namespace {

namespace reason = api::reason;
using Kind = Verdict::Kind;

// What kubelet, scheduler and node controller put into status.reason when the pod itself is not to blame.
constexpr std::array<std::string_view, 11> kEvictions = {"Evicted",
                                                         "Preempting",
                                                         "Preempted",
                                                         "Shutdown",
                                                         "NodeShutdown",
                                                         "Terminated",
                                                         "OutOfcpu",
                                                         "OutOfmemory",
                                                         "OutOfpods",
                                                         "NodeAffinity",
                                                         "UnexpectedAdmissionError"};

constexpr int kKilled = 128 + 9, kTerminated = 128 + 15;
constexpr const char* kOomKilled = "OOMKilled";
constexpr const char* kOutOfMemory = "the container used more memory than its limit";

std::string or_else(const std::string& text, const std::string& otherwise) {
  return text.empty() ? otherwise : text;
}

// Why the kernel killed a command, only the end of its container says.
Verdict of_failure(const api::Failure& failure, const Pod& pod) {
  if (failure.exit_code == kKilled) {
    if (pod.active() && !pod.deletion) return {Kind::kRunning, "", ""};
    if (pod.terminated_reason == kOomKilled) return {Kind::kFailed, reason::kOutOfMemory, kOutOfMemory};
  }
  const Error error{api::parse_error_code(failure.code), failure.message};
  const bool ours = error.exit_status() != kExitInfrastructure;
  return {ours ? Kind::kFailed : Kind::kLost, failure_reason(failure), failure.message};
}

// Of a pod in the phase Failed that told nothing.
Verdict of_exit(const Pod& pod) {
  if (std::ranges::find(kEvictions, pod.reason) != kEvictions.end()) {
    return {Kind::kLost, reason::kEvicted, or_else(pod.message, "the node gave the pod up: " + pod.reason)};
  }
  if (pod.reason == "NodeLost") return {Kind::kLost, reason::kPodLost, or_else(pod.message, "its node is lost")};
  if (pod.reason == "DeadlineExceeded") {
    return {Kind::kFailed, reason::kStageDeadlineExceeded, "the pod took longer than it may"};
  }
  if (pod.terminated_reason == kOomKilled) return {Kind::kFailed, reason::kOutOfMemory, kOutOfMemory};
  if (!pod.exit_code || pod.terminated_reason == "ContainerStatusUnknown") {
    return {Kind::kLost, reason::kPodLost, or_else(pod.message, "nothing is known of how its container ended")};
  }
  if (*pod.exit_code == kKilled || *pod.exit_code == kTerminated) {
    return {Kind::kLost, reason::kPodLost, "the container was killed from outside"};
  }
  if (!pod.outcome_read) return {Kind::kUntold, "", ""};
  const std::string ended = "the container ended with exit status " + std::to_string(*pod.exit_code) +
                            (pod.message.empty() ? "" : ": " + pod.message);
  if (*pod.exit_code == kExitInfrastructure) return {Kind::kLost, reason::kInfrastructure, ended};
  return {Kind::kFailed, reason::kContainerFailed, ended};
}

}  // namespace

Verdict judge(const Pod& pod, bool needs_outcome, bool outcome_known, WallTime now) {
  const bool told_done = pod.told && pod.told->done;
  if (pod.told && pod.told->failure) return of_failure(*pod.told->failure, pod);
  if (pod.phase == PodPhase::kSucceeded || told_done) {
    if (!needs_outcome || outcome_known) return {Kind::kDone, "", ""};
    if (pod.active() || !pod.outcome_read) return {Kind::kUntold, "", ""};
    return {Kind::kLost, reason::kInfrastructure, "the pod ended well, but its result could not be read"};
  }
  if (pod.phase == PodPhase::kFailed) return of_exit(pod);
  if (pod.deletion) {
    if (now < *pod.deletion + kLostAfterGrace) return {Kind::kEnding, "", ""};
    return {Kind::kLost, reason::kPodLost, "the pod was deleted, and its node does not answer"};
  }
  return {pod.phase == PodPhase::kPending ? Kind::kPending : Kind::kRunning, "", ""};
}

std::optional<Waiting> waiting_for(const Pod& pod, WallTime now) {
  if (pod.phase != PodPhase::kPending || pod.deletion) return {};
  if (!pod.unschedulable.empty()) {
    if (now < pod.created + kSchedulingPatience) return {};
    return Waiting{reason::kUnschedulable, pod.unschedulable};
  }
  const std::string& why = pod.waiting_reason;
  const std::string message = or_else(pod.waiting_message, why);
  if (why == "ErrImagePull" || why == "ImagePullBackOff" || why == "RegistryUnavailable" || why == "InvalidImageName" ||
      why == "ErrImageNeverPull" || why == "ImageInspectError") {
    return Waiting{reason::kImagePull, message};
  }
  if (why == "CreateContainerConfigError" || why == "CreateContainerError" || why == "RunContainerError") {
    return Waiting{reason::kContainerConfig, message};
  }
  return {};
}

std::string failure_reason(const api::Failure& failure) {
  switch (api::parse_error_code(failure.code)) {
    case ErrorCode::kInvalidInput:
      return reason::kInvalidInput;
    case ErrorCode::kUnsupported:
      return reason::kUnsupported;
    case ErrorCode::kNotFound:
      return reason::kNotFound;
    case ErrorCode::kDenied:
      return reason::kAccessDenied;
    case ErrorCode::kFailed:
      return reason::kStepFailed;
    case ErrorCode::kLimit:
      return reason::kLimitExceeded;
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnavailable:
    case ErrorCode::kExhausted:
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal:
      return reason::kInfrastructure;
  }
  return reason::kInfrastructure;
}

}  // namespace imagebuild::build
