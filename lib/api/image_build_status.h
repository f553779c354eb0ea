// What the operator says of an ImageBuild (imagebuild.dev/v1alpha1): the status as typed values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace imagebuild::api {

enum class ConditionStatus { kTrue, kFalse, kUnknown };
// metav1.Condition.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::int64_t observed_generation = 0;
  std::optional<WallTime> last_transition_time;  // When `status` last changed.
  std::string reason;                            // One of api/reasons.h.
  std::string message;
  bool operator==(const Condition&) const = default;
};
inline constexpr const char* kReadyCondition = "Ready";  // The image that the spec asks for is in the registry.
inline constexpr const char* kReconcilingCondition = "Reconciling";  // There only while True (kstatus).
inline constexpr const char* kStalledCondition = "Stalled";          // There only while True (kstatus).
inline constexpr const char* kSucceededCondition = "Succeeded";      // How the last build ended; Unknown while it runs.

enum class BuildPhase {
  kNone,  // Not written yet.
  kPending,
  kPreparing,
  kBuilding,
  kPublishing,
  kSucceeded,
  kFailed,
  kCancelled,
  kSuspended
};
enum class WorkPhase { kWaiting, kPending, kRunning, kSucceeded, kFailed, kCancelled };

// One piece of work that a pod does.
struct WorkStatus {
  WorkPhase phase = WorkPhase::kWaiting;
  std::string reason;                  // Why it waits or failed; one of api/reasons.h.
  std::string pod;                     // The last one that was seen.
  std::string node;                    // Where that ran.
  std::int64_t attempts = 0;           // Pods seen so far.
  std::int64_t retries = 0;            // Attempts that the infrastructure lost.
  std::optional<WallTime> start_time;  // Of the first pod; if it was made ahead, when it had nothing to wait for.
  std::optional<WallTime> completion_time;
  bool operator==(const WorkStatus&) const = default;
};
struct StageStatus {
  std::string name;
  WorkStatus work;
  bool cached = false;            // Nothing had to be run.
  std::string changed;            // Else what is different since an earlier build, where a cache knows.
  std::int64_t export_bytes = 0;  // What other stages take from it.
  std::string base_image;         // As the Dockerfile names it; the parent stage for FROM stage.
  std::string base_digest;
  std::int64_t step = 0;   // The step that runs or ran last, from 1; 0: none yet.
  std::int64_t steps = 0;  // How many there are.
  bool operator==(const StageStatus&) const = default;
};

struct SourceStatus {
  std::string revision;  // A Git commit, where there is one.
  std::string digest;    // Of the context's content.
  bool operator==(const SourceStatus&) const = default;
};
struct ImageStatus {
  std::string reference;  // Pinned by digest.
  std::string digest;
  std::int64_t size_bytes = 0;  // Config and compressed layers.
  std::int64_t layers = 0;
  std::int64_t generation = 0;  // Of the ImageBuild, when its build began.
  std::optional<WallTime> completion_time;
  bool operator==(const ImageStatus&) const = default;
};
struct FailureStatus {
  std::string stage;      // "prepare" and "publish" are no stages of the Dockerfile.
  std::string step;       // The instruction.
  std::int64_t line = 0;  // Of the Dockerfile, from 1; 0: none.
  std::string reason;
  std::int64_t exit_code = 0;
  std::string message;
  std::vector<std::string> log_tail;
  bool operator==(const FailureStatus&) const = default;
};
struct PastImage {
  std::string reference;
  std::string digest;
  std::int64_t generation = 0;  // Of the ImageBuild, when this image was built.
  std::optional<WallTime> completion_time;
  bool operator==(const PastImage&) const = default;
};
// What a build does not fail on, but its user should know.
struct WarningStatus {
  std::string rule;  // Of docs/rules/; empty for a remark that no rule makes.
  std::string message;
  std::int64_t line = 0;    // Of the Dockerfile, from 1; 0: nowhere in it.
  std::int64_t column = 0;  // From 1; 0: not known.
  bool operator==(const WarningStatus&) const = default;
};
// Which build the status speaks of.
struct BuildIdentity {
  std::int64_t generation = 0;  // Of the ImageBuild when the build began; part of its objects' names.
  std::string spec_digest;      // ImageBuild::spec_digest of it; another one means another build.
  bool operator==(const BuildIdentity&) const = default;
};

struct ImageBuildStatus {
  std::int64_t observed_generation = 0;
  BuildIdentity build;
  BuildPhase phase = BuildPhase::kNone;
  std::vector<Condition> conditions;  // Sorted by type.
  std::optional<WallTime> start_time, completion_time;
  std::string duration;  // "1m20s", when it ended.
  // Waits in which nothing of the build was on a node and a pod waited for one, or for room in a quota: those that are
  // over, "1m20s", and the one that is not. spec.timeout does not count them.
  std::string waited;
  std::optional<WallTime> waiting_since;
  SourceStatus source;
  ImageStatus image;  // The newest that was published; an earlier build's while the next one runs.
  WorkStatus prepare, publish;
  std::string stage_summary;  // "3/5"
  std::vector<StageStatus> stages;
  std::optional<FailureStatus> failure;
  std::vector<WarningStatus> warnings;
  std::vector<PastImage> history;  // Newest first.
  bool operator==(const ImageBuildStatus&) const = default;
};

// What keeps a status small: more is cut.
inline constexpr std::size_t kMaxHistory = 5;
inline constexpr std::size_t kMaxWarnings = 50;
inline constexpr std::size_t kMaxMessageBytes = 1024;
inline constexpr std::size_t kMaxLogLineBytes = 512;

// Null when there is none.
const Condition* find_condition(const ImageBuildStatus& status, std::string_view type);
// At most `bytes` of `text`, never half a UTF-8 character, with "…" when something was cut.
std::string shortened(std::string_view text, std::size_t bytes);

}  // namespace imagebuild::api
