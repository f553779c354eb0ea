// Objects of the cluster, as the API server sends them, into the values that reconcile() decides by. From Kubernetes
// 1.20 on; what a server does not say is left empty.
#pragma once

#include <string>

#include "base/result.h"
#include "build/reconcile_state.h"
#include "kube/api_error.h"
#include "kube/resource.h"

namespace imagebuild::op {

// kCorrupt for a pod without our labels. `told` comes from the termination message, when it is one;
// `outcome_read` is the caller's to set. When the status has no message of its own, a termination message that is no
// told (a container that could not start) is `message`.
Result<build::Pod> pod_from(const kube::Json& pod);
// kCorrupt for a claim without our labels.
Result<build::Claim> claim_from(const kube::Json& claim);

// The parts of a pod or claim that the above and owner_of() read: what an informer keeps.
kube::Json project_pod(kube::Json pod);
kube::Json project_claim(kube::Json claim);

// What reconcile() has to know of a refused creation of `object`.
build::Refusal refusal_from(std::string object, const kube::ApiError& error);

}  // namespace imagebuild::op
