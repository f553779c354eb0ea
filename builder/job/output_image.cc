#include "builder/job/output_image.h"

#include <utility>

#include "builder/publish/image_checks.h"

namespace imagebuild::builder {

namespace {

std::vector<oci::Reference> tags_of(const api::Output& output, const oci::Reference& image) {
  std::vector<oci::Reference> tags{image};
  for (const std::string& tag : output.additional_tags) {
    if (tag != image.tag()) tags.push_back(image.with_tag(tag));
  }
  return tags;
}

}  // namespace

Result<OutputImage> output_image(const Job& job, api::Plan plan, std::vector<api::StageReport> reports) {
  const api::Output& wanted = job.build.spec.output;
  ASSIGN_OR_RETURN(oci::Reference image, oci::Reference::parse(wanted.image));
  for (const api::PlanTarget& target : plan.targets) {
    for (const auto& [name, value] : wanted.labels) {
      plan.stages[static_cast<std::size_t>(target.stage)].config.labels.insert_or_assign(name, value);
    }
  }
  PublishRequest request;
  request.volume = job.volume;
  request.reports = std::move(reports);
  request.tags[plan.targets.front().name] = tags_of(wanted, image);
  request.outputs = {Output{Output::Kind::kRegistry, {}}};
  request.annotations = wanted.annotations;
  return OutputImage{std::move(plan), std::move(request), std::move(image)};
}

api::ImageStatus status_of(const Published& published, const oci::Reference& image) {
  api::ImageStatus status;
  status.reference = image.with_digest(published.descriptor.digest).str();
  status.digest = published.descriptor.digest.str();
  status.layers = static_cast<std::int64_t>(published.layer_count());
  status.size_bytes = static_cast<std::int64_t>(published.size_bytes());
  return status;
}

Result<std::optional<Published>> find_in_place(const OutputImage& output, const Job& job,
                                               const std::string& registries_file, ProcessRunner& processes,
                                               std::stop_token stop) {
  const PublishRequest& request = output.request;
  ASSIGN_OR_RETURN(std::vector<Published> images, assemble(output.plan, request.reports, request.annotations));
  Published& image = images.front();
  RegistryOptions options = job_registries(job, registries_file);
  options.use_mirrors = false;
  ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access, RegistryAccess::open(options, processes));
  for (const oci::Reference& tag : request.tags.at(image.target)) {
    const Result<oci::Descriptor> there = access->client().resolve(tag, stop);
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!there.ok() || there->digest != image.descriptor.digest) return std::optional<Published>();
  }
  image.warnings = image_warnings(output.plan, image, request.reports, request.volume);
  return std::optional(std::move(image));
}

}  // namespace imagebuild::builder
