// What a builder process tells whoever started it: progress while it runs, and a report at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::api {

inline constexpr std::size_t kMaxPrivateKeys = 20;

// One layer that a stage wrote, for one step that changed files.
struct LayerReport {
  int step = 0;
  std::string file;  // Relative to the stage's folder: "layers/3.tar.gz".
  std::string media_type;
  std::string diff_id;  // sha256 of the uncompressed tar.
  std::string digest;   // sha256 of the file.
  std::uint64_t size_bytes = 0;
  std::uint64_t uncompressed_bytes = 0;
  // Paths of files that begin as a private key does (PEM), at most kMaxPrivateKeys: for the checks of the image.
  std::vector<std::string> private_keys = {};
  bool operator==(const LayerReport&) const = default;
};

struct Failure {
  std::string stage;
  int step = -1;  // Index into PlanStage::steps; -1 when no step was running.
  SourceLine at;
  std::string code;   // error_code_name() of the error.
  int exit_code = 0;  // Of the command; 0 where there was none.
  std::string message;
  std::vector<std::string> log_tail;  // The last lines of output, at most kLogTailLines.
  bool operator==(const Failure&) const = default;
};
inline constexpr std::size_t kLogTailLines = 20;

struct StageReport {
  static constexpr int kVersion = 1;

  std::string stage;
  std::vector<LayerReport> layers;  // In step order; steps that changed nothing have none.
  std::uint64_t export_bytes = 0;   // Content that leaves through exports.
  std::uint64_t root_bytes = 0;     // Content of the stage's whole root file system at its end.
  std::optional<Failure> failure;
  int cached_steps = 0;  // So many of the first steps were not carried out: a cache had what they make.
  bool operator==(const StageReport&) const = default;

  std::string json() const;
  static Result<StageReport> parse(std::string_view json);
};

// Progress, one JSON object a line.
struct StepStarted {
  int step = 0;
  bool operator==(const StepStarted&) const = default;
};
struct StepOutput {
  int step = 0;
  int stream = 1;    // 1 or 2.
  std::string data;  // Any bytes; not cut at line ends. In JSON, bytes that are not UTF-8 are replaced.
  bool operator==(const StepOutput&) const = default;
};
struct StepDone {
  int step = 0;
  std::uint64_t layer_bytes = 0;  // Uncompressed; 0 when nothing changed.
  bool cached = false;            // It was not carried out: a cache had what it makes.
  bool operator==(const StepDone&) const = default;
};
struct StageDone {
  StageReport report;
  bool operator==(const StageDone&) const = default;
};
using StageEvent = std::variant<StepStarted, StepOutput, StepDone, StageDone>;

std::string event_json(const StageEvent& event);  // Without a newline.
Result<StageEvent> parse_event(std::string_view json);

// Stable names for the wire: "InvalidInput", "Failed", …; parse gives kInternal for an unknown one.
std::string_view error_code_name(ErrorCode code);
ErrorCode parse_error_code(std::string_view name);

}  // namespace imagebuild::api
