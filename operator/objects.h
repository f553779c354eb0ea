// Objects of the cluster, as the API server sends them, into the values that reconcile() decides by. From Kubernetes
// 1.20 on; what a server does not say is left empty.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "build/reconcile_state.h"
#include "kube/api_error.h"
#include "kube/resource.h"

namespace imagebuild::op {

// kCorrupt for a pod without our labels. `told` comes from the termination message, when it is one;
// `outcome_read` is the caller's to set. When the status has no message of its own, a termination message that is no
// told (a container that could not start) is `message`.
//
// Where artifacts move through a registry, a stage is done when its pod has succeeded, whatever its own container says:
// `told` is not done before, and its failure may be that of fetching or storing.
Result<build::Pod> pod_from(const kube::Json& pod);
// Whether containers before and beside the stage's move its artifacts through a registry.
bool moves_artifacts(const kube::Json& pod);
// Takes a report of the pod into what pod_from() made of it: before the termination message, only reports tell.
void add_report(const kube::Json& pod, const api::Told& heard, build::Pod& to);
// kCorrupt for a claim without our labels.
Result<build::Claim> claim_from(const kube::Json& claim);

// What an informer keeps of an ImageBuild: all but managedFields while there is something to do. Of one that is settled
// only its name, namespace, UID and version: there may be many thousands of them.
kube::Json project_build(kube::Json build);
// What is kept of a settled one, from its text alone; nothing for any other, or where more than a look is needed.
std::optional<kube::Json> project_settled(std::string_view text);
// Kept so: its build has ended, and the spec asks for nothing else. Only what it left behind may have to be cleaned up.
bool is_settled(const kube::Json& build);

// The parts of a pod or claim that the above and owner_of() read: what an informer keeps.
kube::Json project_pod(kube::Json pod);
kube::Json project_claim(kube::Json claim);

// What reconcile() has to know of a refused creation of `object`.
build::Refusal refusal_from(std::string object, const kube::ApiError& error);

}  // namespace imagebuild::op
