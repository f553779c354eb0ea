// The image that the spec of an ImageBuild asks for, made of finished stages, and whether it is there already.
#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include "api/image_build_status.h"
#include "api/plan.h"
#include "api/report.h"
#include "base/process.h"
#include "base/result.h"
#include "builder/job/job.h"
#include "builder/publish/publish.h"
#include "oci/reference.h"

namespace imagebuild::builder {

struct OutputImage {
  api::Plan plan;  // With the labels of spec.output.
  PublishRequest request;
  oci::Reference image;  // spec.output.image
};

// What publish() gets to make and push it. `reports`: one a stage of the plan, in plan order.
Result<OutputImage> output_image(const Job& job, api::Plan plan, std::vector<api::StageReport> reports);

api::ImageStatus status_of(const Published& published, const oci::Reference& image);

// The image, if each of its tags names just that at the registry itself, whatever mirrors have: then there is nothing
// to push. Nothing too when the registry does not say so, or not to the job's credentials. Pulls and pushes no bytes.
Result<std::optional<Published>> find_in_place(const OutputImage& output, const Job& job,
                                               const std::string& registries_file, ProcessRunner& processes,
                                               std::stop_token stop);

}  // namespace imagebuild::builder
