// The names of a build's objects: a function of the ImageBuild and the attempt, so that whoever decides twice makes
// nothing twice.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/image_build.h"
#include "build/reconcile_state.h"

namespace imagebuild::build {

// "<name>-<hash of the UID>-<generation>-prepare-1", "…-s4-1", "…-publish-2". At most 63 characters, so that it can be
// a label's value and a host name; a long name is cut, the hash keeps it unique.
std::string pod_name(const api::ImageBuild& build, std::int64_t generation, const Work& work, std::int64_t attempt);
// Whether pod_name() gave this name to a prepare pod.
bool is_prepare_pod_name(std::string_view name);
std::string claim_name(const api::ImageBuild& build, std::int64_t generation);
// Of the ConfigMap that keeps the plan.
std::string record_name(const api::ImageBuild& build, std::int64_t generation);

}  // namespace imagebuild::build
