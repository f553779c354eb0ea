#include "builder/transfer/transfer_job.h"

#include <fcntl.h>

#include <memory>
#include <set>
#include <vector>

#include "api/report.h"
#include "api/volume.h"
#include "archive/rooted_path.h"
#include "base/file.h"
#include "build/placement.h"
#include "builder/job/stage_programs.h"
#include "builder/publish/stage_reports.h"
#include "builder/transfer/bundle.h"
#include "builder/transfer/needs.h"
#include "builder/transfer/stage_end.h"
#include "oci/digest.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

constexpr std::uint64_t kMaxReportBytes = 64U << 20;
constexpr std::size_t kPlanDigits = 12;

// One process's work with the repository of the build.
class Transfer {
 public:
  static Result<Transfer> open(const TransferJob& transfer, ProcessRunner& processes, std::stop_token stop) {
    const std::string& repository = transfer.job.build.spec.artifacts.repository;
    ASSIGN_OR_RETURN(oci::Reference reference, oci::Reference::parse(repository).in("spec.artifacts.repository"));
    RETURN_IF_ERROR(oci::Reference::check_tag(transfer.tag + "-prepare").in("--artifact-tag"));
    ASSIGN_OR_RETURN(std::unique_ptr<RegistryAccess> access,
                     RegistryAccess::open(job_registries(transfer.job, transfer.registries_file), processes));
    return Transfer(transfer, std::move(reference), std::move(access), std::move(stop));
  }

  Status store(const oci::Reference& bundle, const std::vector<std::string>& folders) {
    ASSIGN_OR_RETURN(const std::vector<std::string> paths, artifacts_in(root(), folders));
    log("storing " + std::to_string(paths.size()) + " files as " + bundle.str());
    return push_bundle(access_->client(), bundle, root(), paths, stop_);
  }

  Result<bool> is_stored(const oci::Reference& bundle) { return has_bundle(access_->client(), bundle, stop_); }

  // The plan, which is on the volume afterwards.
  Result<api::Plan> fetch_plan() {
    RETURN_IF_ERROR(fetch(prepared(), [](const std::string& path) { return path == volume::kPlan; }));
    auto plan = read_plan(root());
    if (!plan.ok()) return Error{ErrorCode::kInternal, "the plan: " + plan.error().message};
    return plan;
  }

  Status fetch_needs(const api::Plan& plan, const ArtifactNeeds& needs) {
    const std::vector<build::Place> places = build::place_stages(plan);
    const auto wanted = [&](const std::string& path) { return path != volume::kPlan && needs.includes(path); };
    RETURN_IF_ERROR(fetch(prepared(), wanted));
    for (const int stage : needs.stages()) {
      if (places[static_cast<std::size_t>(stage)] != build::Place::kPod) continue;
      ASSIGN_OR_RETURN(const oci::Reference bundle, stored_stage(stage));
      const std::string folder = volume::stage_folder(stage) + "/";
      const auto own = [&](const std::string& path) { return path.starts_with(folder) && wanted(path); };
      RETURN_IF_ERROR(fetch(bundle, own));
    }
    return ok();
  }

  oci::Reference prepared() const { return repository_.with_tag(transfer_->tag + "-prepare"); }

  // A stage's artifacts belong to one plan: prepared anew, the build may have another.
  Result<oci::Reference> stored_stage(int stage) const {
    ASSIGN_OR_RETURN(const std::string plan, read_file(root() / volume::kPlan, UINT64_C(256) << 20));
    const oci::Digest digest = oci::Digest::of(plan);
    std::string tag = transfer_->tag + "-" + std::string(digest.hex().substr(0, kPlanDigits)) + "-s";
    tag += std::to_string(stage);
    RETURN_IF_ERROR(oci::Reference::check_tag(tag));
    return repository_.with_tag(tag);
  }

  void log(const std::string& line) const {
    if (transfer_->log) transfer_->log(line);
  }

 private:
  Transfer(const TransferJob& transfer, oci::Reference repository, std::unique_ptr<RegistryAccess> access,
           std::stop_token stop)
      : transfer_(&transfer), repository_(std::move(repository)), access_(std::move(access)), stop_(std::move(stop)) {}

  const fs::path& root() const { return transfer_->job.volume; }

  Status fetch(const oci::Reference& bundle, const std::function<bool(const std::string& path)>& wanted) {
    log("fetching from " + bundle.str());
    const Status fetched = pull_bundle(access_->client(), bundle, root(), wanted, stop_);
    if (fetched.ok() || fetched.error().code != ErrorCode::kNotFound) return fetched;
    // Whoever stored it is done: a person or a policy of the registry removed it.
    return Error{ErrorCode::kUnavailable, "the artifacts of the build are gone: " + fetched.error().message};
  }

  const TransferJob* transfer_;
  oci::Reference repository_;
  std::unique_ptr<RegistryAccess> access_;
  std::stop_token stop_;
};

Status check_stage(const api::Plan& plan, int stage) {
  if (stage >= 0 && static_cast<std::size_t>(stage) < plan.stages.size()) return ok();
  return Error{ErrorCode::kInternal, "the plan has no stage " + std::to_string(stage)};
}

// Whether the stage left a report of success. The folder is the stage's: it may hold anything.
Result<bool> has_succeeded(const fs::path& root, int stage) {
  ASSIGN_OR_RETURN(const UniqueFd folder, open_file(root, O_RDONLY | O_DIRECTORY));
  const std::string path = volume::stage_folder(stage) + "/" + volume::kReport;
  Result<UniqueFd> fd = archive::open_beneath(folder.get(), path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok() && fd.error().code == ErrorCode::kNotFound) return false;
  if (!fd.ok()) return fd.error().in(path);
  FileSource source(std::move(*fd));
  ASSIGN_OR_RETURN(const std::string text, read_all(source, kMaxReportBytes).in(path));
  ASSIGN_OR_RETURN(const api::StageReport report, api::StageReport::parse(text).in(path));
  return !report.failure;
}

}  // namespace

Status store_prepared(const TransferJob& transfer, ProcessRunner& processes, std::stop_token stop) {
  ASSIGN_OR_RETURN(Transfer to, Transfer::open(transfer, processes, std::move(stop)));
  return to.store(to.prepared(), {volume::kPlan, "context", "trees", "bases", "stages"});
}

Status fetch_for_stage(const TransferJob& transfer, int stage, const fs::path& stage_program, ProcessRunner& processes,
                       std::stop_token stop) {
  ASSIGN_OR_RETURN(Transfer from, Transfer::open(transfer, processes, std::move(stop)));
  ASSIGN_OR_RETURN(const api::Plan plan, from.fetch_plan());
  RETURN_IF_ERROR(check_stage(plan, stage));
  const api::PlanStage& it = plan.stages[static_cast<std::size_t>(stage)];
  if (it.needs_container) {
    RETURN_IF_ERROR(put_stage_program(stage_program, it.platform, it.name, transfer.job.volume));
  }
  return from.fetch_needs(plan, needs_of_stage(plan, stage));
}

Status store_stage(const TransferJob& transfer, int stage, ProcessRunner& processes, std::stop_token stop) {
  const std::string folder = volume::stage_folder(stage);
  RETURN_IF_ERROR(wait_for_stage_end(transfer.job.volume / folder, stop));
  ASSIGN_OR_RETURN(const bool succeeded, has_succeeded(transfer.job.volume, stage));
  if (!succeeded) {
    if (transfer.log) transfer.log("the stage has not succeeded: there is nothing to store");
    return ok();
  }
  ASSIGN_OR_RETURN(Transfer to, Transfer::open(transfer, processes, std::move(stop)));
  ASSIGN_OR_RETURN(const oci::Reference bundle, to.stored_stage(stage));
  ASSIGN_OR_RETURN(const bool stored, to.is_stored(bundle));
  if (!stored) return to.store(bundle, {folder});
  to.log("an earlier attempt has stored " + bundle.str() + " already");
  return ok();
}

Status fetch_for_publish(const TransferJob& transfer, ProcessRunner& processes, std::stop_token stop) {
  ASSIGN_OR_RETURN(Transfer from, Transfer::open(transfer, processes, std::move(stop)));
  ASSIGN_OR_RETURN(const api::Plan plan, from.fetch_plan());
  return from.fetch_needs(plan, needs_of_publish(plan));
}

}  // namespace imagebuild::builder
