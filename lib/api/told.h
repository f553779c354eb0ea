// What a builder tells about its pod's work, whichever way it goes: by a report, in the pod's termination message, or
// as the last line of its log. Each says all there is to say; the newest counts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/image_build_status.h"
#include "api/report.h"
#include "api/warning.h"
#include "base/result.h"

namespace imagebuild::api {

struct Told {
  static constexpr int kVersion = 1;

  int step = -1;                   // The index of the step that runs, or ran last.
  bool done = false;               // The work succeeded.
  std::optional<Failure> failure;  // Or it failed.
  std::uint64_t export_bytes = 0;
  std::vector<int> cached;             // prepare: the stages that need not run.
  std::map<int, std::string> changed;  // prepare: of the others, what is different since the last build, where known.
  std::optional<SourceStatus> source;  // prepare.
  // publish; or prepare, when nothing is left to do: no stage, and all tags name this image already.
  std::optional<ImageStatus> image;
  std::vector<Warning>
      warnings;           // With an image: what the checks of it found. Those of the Dockerfile are in the plan.
  std::string plan_json;  // prepare, when done: the plan as Plan::json() has it. Not in short_json().
  bool operator==(const Told&) const = default;

  // Nothing more comes after this.
  bool is_end() const { return done || failure.has_value(); }

  std::string json() const;  // One line.
  // At most `max_bytes`, still parseable: without the plan; warnings, log lines and messages are cut as far as they
  // must.
  std::string short_json(std::size_t max_bytes) const;
  // Unknown members are ignored. kCorrupt for anything else than a told of this version.
  static Result<Told> parse(std::string_view json);
};

}  // namespace imagebuild::api
