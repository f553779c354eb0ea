// The record of a build: the ConfigMap that tells its pods what to do, and an operator that comes later the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "api/image_build.h"
#include "api/plan.h"
#include "base/result.h"
#include "kube/resource.h"

namespace imagebuild::op {

// The spec with each build argument's valueFrom replaced by its value. `value_of` gives the value of a ConfigMap's key;
// without one: kNotFound, naming the argument.
Result<api::ImageBuildSpec> resolve_build_args(
    api::ImageBuildSpec spec, const std::function<std::optional<std::string>(const api::KeyRef&)>& value_of);

// The ConfigMap that is named build::record_name(): api/job.h has its keys. `build.spec` has its build arguments
// resolved. `plan`: absent before prepare is done. `registries`: the operator's registries file; empty: none.
// The same input gives the same bytes.
kube::Json make_record(const api::ImageBuild& build, std::int64_t generation, const std::optional<api::Plan>& plan,
                       const std::string& registries);

// The plan in a record; nothing when it has none yet. kCorrupt when it cannot be read.
Result<std::optional<api::Plan>> plan_in(const kube::Json& record);

}  // namespace imagebuild::op
