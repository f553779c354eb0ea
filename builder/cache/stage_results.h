// The results of stages in the caches of a build: looked up before a stage runs, kept when it is done.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "base/result.h"
#include "build/cache_key.h"
#include "builder/cache/step_inputs.h"
#include "builder/cache/store.h"

namespace imagebuild::builder {

// The caches that a build reads and writes, in the order in which they are asked. Not owned.
struct CachePlaces {
  std::vector<CacheStore*> from;
  std::vector<CacheStore*> to;
  // Tells this build from others in the same cache when it is asked what changed since the last one: where the context
  // lies, or the object that asks for the build.
  std::string scope;
  // Of a stage that is there whole, the content of its layers may come later, or never: Restored::later.
  bool layers_later = false;
};

// Layers of a stage that are not in its folder yet.
struct LaterLayers {
  CacheStore* from = nullptr;
  CacheRecord record;  // Only the layers.
};

struct Restored {
  std::optional<api::StageReport> report;  // The whole stage is there, with its report: nothing has to run.
  int steps = 0;                           // Else so many of its first steps are (volume::kReplay).
  std::optional<build::Change> change;  // Else what is different since the last build of this scope, if that is known.
  std::optional<LaterLayers> later;     // With a report.
  std::vector<Error> warnings;          // A cache that could not be asked.
};

class StageResults {
 public:
  // All must outlive this object.
  StageResults(const api::Plan& plan, const CachePlaces& places) : plan_(plan), places_(places) {}

  // Puts what a cache has of the stage into `folder`, its folder on the volume. kCancelled when stopped.
  Result<Restored> restore(int stage, const build::StageInputs& inputs, const std::filesystem::path& folder,
                           const std::stop_token& stop) const;
  // What restore() says of a stage of which no place can have anything, known from its inputs without files
  // (stage_outline()); nothing when one may, or when only the files can tell what changed since the last build.
  Result<std::optional<Restored>> restore_nothing(int stage, const build::StageInputs& outline,
                                                  const std::filesystem::path& folder,
                                                  const std::stop_token& stop) const;
  // Keeps what the stage made in every place that is written to; of a stage that failed, the steps before the one that
  // did. Steps that a cache had go from the first place to the others. `report` is the one in `folder`; nobody writes
  // there any more. Layers are taken at the digests that the report has, or verified first when `ran_commands`: then
  // something foreign may have written there after them.
  Status keep(int stage, const build::StageInputs& inputs, const api::StageReport& report,
              const std::filesystem::path& folder, bool ran_commands, const std::stop_token& stop) const;
  // Keeps only what the stage was made from, to compare the scope's next build with: for a stage that came whole, maybe
  // from a build of another scope. keep() does this too.
  Status remember(int stage, const build::StageInputs& inputs, const std::stop_token& stop) const;

 private:
  class FolderFiles;
  oci::Digest last_key(int stage) const;
  bool may_have(int stage, const build::StageInputs& outline) const;
  // What the scope's last build made the stage from, where that is known.
  std::optional<build::StageInputs> last_inputs(int stage, const std::stop_token& stop) const;
  Result<bool> restore_whole(int stage, const build::StageKeys& keys, const std::filesystem::path& folder,
                             const std::stop_token& stop, Restored& restored) const;
  // All of `steps`.
  Result<bool> restore_steps(const std::vector<build::StepKey>& steps, const std::filesystem::path& folder,
                             const std::stop_token& stop, Restored& restored) const;
  struct Wanted {
    const oci::Digest& key;
    const std::vector<build::StepKey>& steps;  // Those that the key counts.
    bool has_exports = false;
    bool layers_later = false;
  };
  Result<std::optional<api::StageReport>> fetch(const Wanted& wanted, const std::filesystem::path& folder,
                                                const std::stop_token& stop, Restored& restored) const;
  Status remember_in(CacheStore& store, int stage, const build::StageInputs& inputs, const std::stop_token& stop) const;
  Status keep_in(CacheStore& store, int stage, const build::StageInputs& inputs, const api::StageReport& report,
                 FolderFiles& files, const std::stop_token& stop) const;
  // Copies what the first place has under the key; nothing where it has nothing.
  Status pass_on(const oci::Digest& key, CacheStore& to, const std::filesystem::path& stage_folder,
                 const std::stop_token& stop) const;

  const api::Plan& plan_;
  const CachePlaces& places_;
};

}  // namespace imagebuild::builder
