// The cache of an ImageBuild (spec.cache), for prepare, which takes results of stages from it, and for publish, which
// puts them there. It never fails a build: what goes wrong with it is a warning.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "api/warning.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/result.h"
#include "builder/cache/folder_store.h"
#include "builder/cache/stage_results.h"
#include "builder/job/job.h"
#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct JobCacheRequest {
  const Job& job;                       // Outlives the cache.
  std::string registries_file;          // May be empty.
  std::filesystem::path stage_program;  // Its content is part of every key.
  std::function<void(std::string)> log;
  Clock now = system_clock_now;
};

// What a build's stages get from a cache before they run.
struct CachedStages {
  std::vector<int> whole;              // Nothing of them has to run: their reports are on the volume.
  std::map<int, std::string> changed;  // Of others: what is different since the last build, where that is known.
};

class JobCache {
 public:
  // Opens the place that the spec names; without one, or where it cannot be opened, there is nothing to restore and
  // keep. `processes` outlives the cache.
  JobCache(JobCacheRequest request, ProcessRunner& processes, std::stop_token stop);

  bool is_open() const { return store_ != nullptr; }
  // Puts what the cache has of the plan's stages on the volume, in the order of the plan. `compute` carries out a
  // computed stage that later ones need to be looked up; it is called for each that is not in the cache.
  Result<CachedStages> restore(const api::Plan& plan, const std::function<Status(int stage)>& compute);
  // The same, but for the content of layers of stages that are whole.
  Result<CachedStages> restore_without_layers(const api::Plan& plan, const std::function<Status(int stage)>& compute);
  // After restore_without_layers(): fetches the layers that `needs` names, by stage and digest. False when a cache does
  // not give them after all: then nothing that was restored counts.
  Result<bool> fetch_layers(const std::function<bool(int stage, const std::string& digest)>& needs);
  // Fetches the layers of a stage that is there whole. An error when no cache gives them.
  Status fetch_layers_of(const api::Plan& plan, int stage, const std::vector<api::StageReport>& reports);
  // After restore(): what is known of each stage, in the order of the plan. The reports of those on the volume.
  const std::vector<std::optional<api::StageReport>>& reports() const { return inputs_.reports; }
  // Keeps what the stages made, which are all done, and removes what is too old or too much.
  void keep(const api::Plan& plan, const std::vector<api::StageReport>& reports);
  // Of a build that failed: keeps what `stages` left on the volume, of one that failed the steps before the one that
  // did. Those that have no report there are passed over.
  void keep_unfinished(const api::Plan& plan, const std::vector<int>& stages);

  // Each once.
  const std::vector<api::Warning>& warnings() const { return warnings_; }

 private:
  Status open(ProcessRunner& processes);
  Status open_claim(const std::string& claim);
  Status open_registry(const api::CacheRegistry& registry, ProcessRunner& processes);
  Result<CachedStages> restore_stages(const api::Plan& plan, const std::function<Status(int stage)>& compute);
  Status try_restore(const api::Plan& plan, int stage, CachedStages& found);
  void keep_these(const api::Plan& plan, const std::vector<std::optional<api::StageReport>>& reports);
  Status keep_stage(const api::Plan& plan, int stage, const api::StageReport& report);
  Status prune();
  void warn(const std::string& text);
  std::string title(const api::Plan& plan, int stage) const;
  std::filesystem::path folder_of(int stage) const;

  const JobCacheRequest request_;
  const api::CacheSettings settings_;
  const std::stop_token stop_;
  std::unique_ptr<RegistryAccess> access_;
  std::unique_ptr<CacheStore> store_;
  FolderStore* claim_ = nullptr;  // store_, where it is a claim.
  CachePlaces places_;
  InputPlaces inputs_;
  std::map<int, LaterLayers> later_;  // By stage.
  bool has_kept_ = false;
  std::vector<api::Warning> warnings_;
};

}  // namespace imagebuild::builder
