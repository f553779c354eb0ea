// The record of a build: the ConfigMap that tells an operator that comes later the plan, and those pods what to do
// whose job does not fit into themselves.
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

// What a builder's pod is to do, short enough to be carried by its own annotations: then the kubelet has it with the
// pod, and need not ask for a ConfigMap. Nothing where it is too long, or where a build argument has yet to be looked
// up.
struct JobText {
  std::string build;       // As kBuildFile of api/job.h.
  std::string registries;  // The operator's registries file; empty: none.
};
inline constexpr std::size_t kMaxJobTextBytes = 128U << 10;  // All annotations of an object: 256 KiB.
std::optional<JobText> job_text(const api::ImageBuild& build, std::int64_t generation, const std::string& registries);

// The ConfigMap that is named build::record_name(): api/job.h has its keys. `build.spec` has its build arguments
// resolved. `plan`: absent before prepare is done. `registries`: the operator's registries file; empty: none.
// The same input gives the same bytes.
kube::Json make_record(const api::ImageBuild& build, std::int64_t generation, const std::optional<api::Plan>& plan,
                       const std::string& registries);

// The plan in a record; nothing when it has none yet. kCorrupt when it cannot be read.
Result<std::optional<api::Plan>> plan_in(const kube::Json& record);

}  // namespace imagebuild::op
