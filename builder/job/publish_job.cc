#include "builder/job/publish_job.h"

#include "api/volume.h"
#include "base/file.h"
#include "build/placement.h"
#include "builder/job/job_cache.h"
#include "builder/prepare/images.h"
#include "builder/publish/publish.h"
#include "builder/publish/stage_reports.h"
#include "builder/stage/compute_ready.h"

namespace imagebuild::builder {

namespace {

std::vector<oci::Reference> tags_of(const api::Output& output, const oci::Reference& image) {
  std::vector<oci::Reference> tags{image};
  for (const std::string& tag : output.additional_tags) {
    if (tag != image.tag()) tags.push_back(image.with_tag(tag));
  }
  return tags;
}

api::ImageStatus status_of(const Published& published, const oci::Reference& image) {
  api::ImageStatus status;
  status.reference = image.with_digest(published.descriptor.digest).str();
  status.digest = published.descriptor.digest.str();
  status.layers = static_cast<std::int64_t>(published.layer_count());
  status.size_bytes = static_cast<std::int64_t>(published.size_bytes());
  return status;
}

// What the volume lacks is not the user's to mend.
template <class T>
Result<T> from_volume(Result<T> result) {
  if (result.ok()) return result;
  return Error{ErrorCode::kInternal, "the artifact volume: " + result.error().message};
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
    RETURN_IF_ERROR(compute(plan));
    if (told_.failure) return ok();
    for (const api::PlanTarget& target : plan.targets) {
      for (const auto& [name, value] : spec_.output.labels) {
        plan.stages[static_cast<std::size_t>(target.stage)].config.labels.insert_or_assign(name, value);
      }
    }
    PublishRequest wanted;
    wanted.volume = root;
    ASSIGN_OR_RETURN(wanted.reports, from_volume(read_stage_reports(plan, root)));
    ASSIGN_OR_RETURN(const oci::Reference image, oci::Reference::parse(spec_.output.image));
    wanted.tags[plan.targets.front().name] = tags_of(spec_.output, image);
    wanted.outputs = {Output{Output::Kind::kRegistry, {}}};
    wanted.annotations = spec_.output.annotations;
    ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access,
                     RegistryAccess::open(job_registries(request_.job, request_.registries_file), processes_));
    const OpenImage open = [&](const std::string& name) { return open_image(access->client(), name, stop_); };
    log("pushing " + image.str());
    ASSIGN_OR_RETURN(const std::vector<Published> published, publish(plan, wanted, open, access->client(), stop_));
    told_.image = status_of(published.front(), image);
    log("pushed " + told_.image->reference);
    told_.warnings = published.front().warnings;
    keep_results(plan, wanted.reports);
    for (const api::Warning& warning : told_.warnings) log("warning: " + api::text_of(plan, warning));
    return ok();
  }

  // Only what became an image is worth keeping.
  void keep_results(const api::Plan& plan, const std::vector<api::StageReport>& reports) {
    JobCache cache({request_.job, request_.registries_file, request_.stage_program,
                    [this](std::string line) { log(std::move(line)); }},
                   processes_, stop_);
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
