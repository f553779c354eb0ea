// The results of stages, kept between builds by what they depend on (stage_key.h): a stage's folder of the artifact
// volume, with its layers, exports and report. Files are shared by hard links, so keeping and taking cost nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "api/report.h"
#include "base/result.h"
#include "cli/store.h"
#include "oci/digest.h"

namespace imagebuild::cli {

class StageCache {
 public:
  explicit StageCache(const Store& store) : store_(store) {}

  // Puts the kept result into `folder`, which must not exist; nothing when there is none that is whole.
  std::optional<api::StageReport> take(const oci::Digest& key, const std::filesystem::path& folder) const;
  // Keeps what lies in `folder`. The stage is over: nobody writes there any more.
  Status keep(const oci::Digest& key, const std::filesystem::path& folder) const;
  // Removes the results that were not used for longest until the others have at most `max_bytes`.
  void trim(std::uint64_t max_bytes) const;

 private:
  const Store& store_;
};

}  // namespace imagebuild::cli
