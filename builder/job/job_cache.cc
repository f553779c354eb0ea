#include "builder/job/job_cache.h"

#include <sys/statvfs.h>

#include <algorithm>

#include "api/job.h"
#include "api/validate_values.h"
#include "api/volume.h"
#include "base/file.h"
#include "builder/cache/registry_store.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

constexpr std::uint64_t kMaxReportBytes = 64U << 20;

// Nine tenths of what the file system holds: where it is full, nothing new can be kept.
std::uint64_t most_bytes(const fs::path& folder) {
  struct statvfs found = {};
  if (::statvfs(folder.c_str(), &found) != 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(found.f_blocks) * found.f_frsize / 10 * 9;
}

// The whole stage came from the cache, and not only its steps.
bool came_whole(const api::PlanStage& stage, const api::StageReport& report, const fs::path& folder) {
  std::error_code error;
  return !stage.steps.empty() && report.cached_steps == static_cast<int>(stage.steps.size()) &&
         !fs::exists(folder / volume::kReplay, error);
}

}  // namespace

JobCache::JobCache(JobCacheRequest request, ProcessRunner& processes, std::stop_token stop)
    : request_(std::move(request)), settings_(request_.job.build.spec.cache), stop_(std::move(stop)) {
  if (!api::uses_cache(settings_)) return;
  const Status opened = open(processes);
  if (opened.ok()) return;
  store_.reset();
  claim_ = nullptr;
  warn("the cache is not used: " + opened.error().message);
}

Status JobCache::open(ProcessRunner& processes) {
  inputs_.volume = request_.job.volume;
  inputs_.compression = compression_of(request_.job.build.spec);
  ASSIGN_OR_RETURN(inputs_.builder, builder_identity(request_.stage_program));
  if (settings_.claim) {
    RETURN_IF_ERROR(open_claim(settings_.claim->claim_name));
  } else {
    RETURN_IF_ERROR(open_registry(*settings_.registry, processes));
  }
  places_.from = {store_.get()};
  places_.to = {store_.get()};
  places_.scope = request_.job.build.ns + "/" + request_.job.build.name;
  return ok();
}

// The claim is mounted already: a folder that is not there means that it is not.
Status JobCache::open_claim(const std::string& claim) {
  FolderStoreSettings settings;
  settings.folder = request_.job.mounted(api::job::kCache);
  std::error_code error;
  if (!fs::is_directory(settings.folder, error)) {
    return Error{ErrorCode::kUnavailable, "the claim '" + claim + "' is not mounted in this pod"};
  }
  ASSIGN_OR_RETURN(FolderStore opened, FolderStore::open(settings));
  auto owned = std::make_unique<FolderStore>(std::move(opened));
  claim_ = owned.get();
  store_ = std::move(owned);
  return ok();
}

// The cache's own credentials are asked first, and never for anything else.
Status JobCache::open_registry(const api::CacheRegistry& registry, ProcessRunner& processes) {
  ASSIGN_OR_RETURN(oci::Reference repository, oci::Reference::parse(registry.repository));
  RegistryOptions options = job_registries(request_.job, request_.registries_file);
  if (registry.secret) {
    options.credentials->insert(options.credentials->begin(),
                                request_.job.mounted(api::job::kCacheSecret) / "config.json");
  }
  if (registry.insecure) options.untrusted.push_back(repository.registry());
  ASSIGN_OR_RETURN(access_, RegistryAccess::open(options, processes));
  store_ = std::make_unique<RegistryStore>(access_->client(), std::move(repository));
  return ok();
}

Result<CachedStages> JobCache::restore(const api::Plan& plan, const std::function<Status(int stage)>& compute) {
  CachedStages found;
  if (!is_open()) return found;
  inputs_.reports.assign(plan.stages.size(), std::nullopt);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const int stage = static_cast<int>(i);
    const Status tried = try_restore(plan, stage, found);
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!tried.ok()) warn("stage '" + plan.stages[i].name + "' is not looked up: " + tried.error().message);
    if (inputs_.reports[i]) continue;
    RETURN_IF_ERROR(compute(stage));
    const auto text = read_file(folder_of(stage) / volume::kReport, kMaxReportBytes);
    if (!text.ok()) continue;  // It needs a pod.
    ASSIGN_OR_RETURN(api::StageReport report, api::StageReport::parse(*text));
    if (!report.failure) inputs_.reports[i] = std::move(report);
  }
  return found;
}

Status JobCache::try_restore(const api::Plan& plan, int stage, CachedStages& found) {
  ASSIGN_OR_RETURN(const build::StageInputs inputs, stage_inputs(plan, stage, inputs_));
  const StageResults results(plan, places_);
  ASSIGN_OR_RETURN(Restored restored, results.restore(stage, inputs, folder_of(stage), stop_));
  for (const Error& error : restored.warnings) warn("the cache is not used: " + error.message);
  std::string line = title(plan, stage);
  if (restored.report) {
    inputs_.reports[static_cast<std::size_t>(stage)] = std::move(restored.report);
    found.whole.push_back(stage);
    request_.log(line + " is cached");
    return ok();
  }
  line += restored.steps == 0 ? " is not cached" : " is cached up to step " + std::to_string(restored.steps);
  if (restored.change) {
    found.changed[stage] = restored.change->what;
    line += ": " + restored.change->what;
  }
  request_.log(line);
  return ok();
}

void JobCache::keep(const api::Plan& plan, const std::vector<api::StageReport>& reports) {
  if (!is_open()) return;
  inputs_.reports.assign(reports.begin(), reports.end());
  for (std::size_t i = 0; i < plan.stages.size() && !stop_.stop_requested(); ++i) {
    const Status kept = keep_stage(plan, static_cast<int>(i), reports[i]);
    if (!kept.ok()) warn("a result is not kept for later builds: " + kept.error().message);
  }
  if (claim_ == nullptr || !has_kept_) return;
  const Status pruned = prune();
  if (!pruned.ok()) warn("the cache is not made smaller: " + pruned.error().message);
}

Status JobCache::keep_stage(const api::Plan& plan, int stage, const api::StageReport& report) {
  const api::PlanStage& it = plan.stages[static_cast<std::size_t>(stage)];
  const fs::path folder = folder_of(stage);
  ASSIGN_OR_RETURN(const build::StageInputs inputs, stage_inputs(plan, stage, inputs_));
  if (came_whole(it, report, folder)) return StageResults(plan, places_).remember(stage, inputs, stop_);
  has_kept_ = true;  // Or some of it.
  return StageResults(plan, places_).keep(stage, inputs, report, folder, it.needs_container, stop_);
}

Status JobCache::prune() {
  const std::string& size = settings_.max_size.text;
  const std::string& ttl = settings_.ttl;
  CacheLimits limits;
  const double wanted = *api::parse_quantity(size.empty() ? api::kDefaultCacheSize : size);
  limits.max_bytes = most_bytes(request_.job.mounted(api::job::kCache));
  if (wanted < static_cast<double>(limits.max_bytes)) limits.max_bytes = static_cast<std::uint64_t>(wanted);
  const auto unused = *api::parse_duration(ttl.empty() ? api::kDefaultCacheTtl : ttl);
  limits.unused_before_s =
      std::chrono::duration_cast<std::chrono::seconds>((request_.now() - unused).time_since_epoch()).count();
  const Result<std::uint64_t> freed = claim_->prune(limits);
  return freed.ok() ? ok() : Status(freed.error());
}

void JobCache::warn(const std::string& text) {
  if (std::ranges::find(warnings_, text, &api::Warning::message) != warnings_.end()) return;
  warnings_.push_back({"", text, {}});
}

std::string JobCache::title(const api::Plan& plan, int stage) const {
  return "stage '" + plan.stages[static_cast<std::size_t>(stage)].name + "'";
}

fs::path JobCache::folder_of(int stage) const {
  return request_.job.volume / volume::stage_folder(stage);
}

}  // namespace imagebuild::builder
