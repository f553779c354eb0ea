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
  places_.layers_later = false;
  return restore_stages(plan, compute);
}

Result<CachedStages> JobCache::restore_without_layers(const api::Plan& plan,
                                                      const std::function<Status(int stage)>& compute) {
  places_.layers_later = true;
  return restore_stages(plan, compute);
}

Result<bool> JobCache::fetch_layers(const std::function<bool(int stage, const std::string& digest)>& needs) {
  for (auto& [stage, later] : later_) {
    std::erase_if(later.record.files,
                  [&, number = stage](const CachedFile& file) { return !needs(number, file.digest); });
    if (later.record.files.empty()) continue;
    const Result<bool> fetched = later.from->fetch(later.record, folder_of(stage), stop_);
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!fetched.ok()) warn("the cache is not used: " + fetched.error().in(later.from->name()).message);
    if (!fetched.ok() || !*fetched) return false;
  }
  return true;
}

Status JobCache::fetch_layers_of(const api::Plan& plan, int stage, const std::vector<api::StageReport>& reports) {
  const std::string& name = plan.stages[static_cast<std::size_t>(stage)].name;
  const Error gone{ErrorCode::kUnavailable, "the layers of stage '" + name +
                                                "' are neither where the image goes to nor "
                                                "in the cache any more"};
  if (!is_open()) return gone;
  inputs_.reports.assign(reports.begin(), reports.end());
  places_.layers_later = false;
  ASSIGN_OR_RETURN(const build::StageInputs inputs, stage_inputs(plan, stage, inputs_));
  ASSIGN_OR_RETURN(const Restored restored,
                   StageResults(plan, places_).restore(stage, inputs, folder_of(stage), stop_));
  return restored.report ? ok() : Status(gone);
}

Result<CachedStages> JobCache::restore_stages(const api::Plan& plan, const std::function<Status(int stage)>& compute) {
  later_.clear();
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
    if (restored.later) later_.insert_or_assign(stage, std::move(*restored.later));
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
  keep_these(plan, inputs_.reports);
}

void JobCache::keep_unfinished(const api::Plan& plan, const std::vector<int>& stages) {
  if (!is_open()) return;
  std::vector<std::optional<api::StageReport>> worth(plan.stages.size());
  inputs_.reports.assign(plan.stages.size(), std::nullopt);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const auto text = read_file(folder_of(static_cast<int>(i)) / volume::kReport, kMaxReportBytes);
    if (!text.ok()) continue;
    Result<api::StageReport> report = api::StageReport::parse(*text);
    if (!report.ok()) continue;
    if (std::ranges::find(stages, static_cast<int>(i)) != stages.end()) worth[i] = *report;
    if (!report->failure) inputs_.reports[i] = std::move(*report);
  }
  keep_these(plan, worth);
}

void JobCache::keep_these(const api::Plan& plan, const std::vector<std::optional<api::StageReport>>& reports) {
  for (std::size_t i = 0; i < plan.stages.size() && !stop_.stop_requested(); ++i) {
    if (!reports[i]) continue;
    const Status kept = keep_stage(plan, static_cast<int>(i), *reports[i]);
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
