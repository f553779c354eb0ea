#include "builder/job/publish_job.h"

#include "api/volume.h"
#include "base/file.h"
#include "build/placement.h"
#include "builder/job/job_cache.h"
#include "builder/job/output_image.h"
#include "builder/prepare/images.h"
#include "builder/publish/publish.h"
#include "builder/publish/stage_reports.h"
#include "builder/stage/compute_ready.h"
#include "builder/stage/wait_for_stages.h"

namespace imagebuild::builder {

namespace {

// What the volume lacks is not the user's to mend.
template <class T>
Result<T> from_volume(Result<T> result) {
  if (result.ok()) return result;
  return Error{ErrorCode::kInternal, "the artifact volume: " + result.error().message};
}

std::vector<int> stages_in_pods(const api::Plan& plan) {
  const std::vector<build::Place> places = build::place_stages(plan);
  std::vector<int> stages;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (places[i] == build::Place::kPod) stages.push_back(static_cast<int>(i));
  }
  return stages;
}

class Publication {
 public:
  Publication(const PublishJob& request, ProcessRunner& processes, std::stop_token stop)
      : request_(request), spec_(request.job.build.spec), processes_(processes), stop_(std::move(stop)) {}

  api::Told run() {
    const Status status = carry_out();
    if (!status.ok()) told_.failure = failure_of(status.error(), "Dockerfile");
    told_.done = !told_.failure;
    return std::move(told_);
  }

 private:
  void log(std::string line) const {
    if (request_.log) request_.log(std::move(line));
  }

  Status carry_out() {
    const std::filesystem::path& root = request_.job.volume;
    ASSIGN_OR_RETURN(api::Plan plan, from_volume(read_plan(root)));
    if (request_.wait) RETURN_IF_ERROR(wait_for_stages(root, stages_in_pods(plan), stop_, request_.pause));
    RETURN_IF_ERROR(compute(plan));
    if (told_.failure) return ok();
    ASSIGN_OR_RETURN(std::vector<api::StageReport> reports, from_volume(read_stage_reports(plan, root)));
    ASSIGN_OR_RETURN(const OutputImage wanted, output_image(request_.job, plan, reports));
    ASSIGN_OR_RETURN(std::optional<Published> published,
                     find_in_place(wanted, request_.job, request_.registries_file, processes_, stop_));
    const bool is_there = published.has_value();
    if (!is_there) {
      ASSIGN_OR_RETURN(published, push(wanted));
    }
    told_.image = status_of(*published, wanted.image);
    log((is_there ? "already there: " : "pushed ") + told_.image->reference);
    told_.warnings = published->warnings;
    keep_results(plan, reports);
    for (const api::Warning& warning : told_.warnings) log("warning: " + api::text_of(plan, warning));
    return ok();
  }

  Result<std::optional<Published>> push(const OutputImage& wanted) const {
    ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access,
                     RegistryAccess::open(job_registries(request_.job, request_.registries_file), processes_));
    const OpenImage open = [&](const std::string& name) { return open_image(access->client(), name, stop_); };
    RETURN_IF_ERROR(complete_layers(wanted, access->client()));
    log("pushing " + wanted.image.str());
    ASSIGN_OR_RETURN(std::vector<Published> published,
                     publish(wanted.plan, wanted.request, open, access->client(), stop_));
    return std::optional(std::move(published.front()));
  }

  // What prepare saw in the image's repository it left in the cache; it may be gone from there meanwhile.
  Status complete_layers(const OutputImage& wanted, registry::Client& client) const {
    for (const api::PlanTarget& target : wanted.plan.targets) {
      for (const int stage : api::base_chain(wanted.plan, target.stage)) {
        const std::vector<api::StageReport>& reports = wanted.request.reports;
        ASSIGN_OR_RETURN(const bool are_there,
                         has_layers(stage, reports[static_cast<std::size_t>(stage)], wanted.image, client));
        if (!are_there) RETURN_IF_ERROR(open_cache().fetch_layers_of(wanted.plan, stage, reports));
      }
    }
    return ok();
  }

  Result<bool> has_layers(int stage, const api::StageReport& report, const oci::Reference& image,
                          registry::Client& client) const {
    const std::filesystem::path folder = request_.job.volume / api::volume::stage_folder(stage);
    for (const api::LayerReport& layer : report.layers) {
      std::error_code error;
      if (std::filesystem::exists(folder / layer.file, error)) continue;
      ASSIGN_OR_RETURN(const oci::Digest digest, oci::Digest::parse(layer.digest));
      ASSIGN_OR_RETURN(const bool is_there, client.has_blob(image, digest, stop_));
      if (!is_there) return false;
    }
    return true;
  }

  JobCache open_cache() const {
    return JobCache({request_.job, request_.registries_file, request_.stage_program,
                     [this](std::string line) { log(std::move(line)); }},
                    processes_, stop_);
  }

  // Only what became an image is worth keeping.
  void keep_results(const api::Plan& plan, const std::vector<api::StageReport>& reports) {
    JobCache cache = open_cache();
    cache.keep(plan, reports);
    told_.warnings.insert(told_.warnings.end(), cache.warnings().begin(), cache.warnings().end());
  }

  Status compute(const api::Plan& plan) {
    const std::vector<build::Place> places = build::place_stages(plan);
    const auto wanted = [&](int stage) { return places[static_cast<std::size_t>(stage)] == build::Place::kPublish; };
    ASSIGN_OR_RETURN(told_.failure, compute_stages(plan, request_.job.volume, compression_of(spec_), wanted, stop_));
    if (told_.failure) told_.failure->message = error_of(plan, *told_.failure).message;
    return ok();
  }

  const PublishJob& request_;
  const api::ImageBuildSpec& spec_;
  ProcessRunner& processes_;
  std::stop_token stop_;
  api::Told told_;
};

}  // namespace

api::Told publish_job(const PublishJob& request, ProcessRunner& processes, std::stop_token stop) {
  return Publication(request, processes, std::move(stop)).run();
}

}  // namespace imagebuild::builder
