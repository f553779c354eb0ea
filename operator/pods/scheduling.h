// Where a pod may run and what it gets there, as the spec says it.
#pragma once

#include <string>

#include "api/image_build_spec.h"
#include "kube/resource.h"

namespace imagebuild::op {

// A container's `resources`; an empty object when nothing is said.
kube::Json resources_json(const api::ResourceNeeds& needs);

// `affinity` with the demand for the node of that name, besides what it demands already. A node affinity, not nodeName:
// the scheduler still sees to resources and taints. `affinity` is the user's: where it is malformed it stays as it is,
// and the API server refuses it.
kube::Json pinned_to_node(kube::Json affinity, const std::string& node);

// `affinity` with the wish for a node of that architecture, besides what it wishes already; malformed: as it is.
kube::Json preferring_architecture(kube::Json affinity, const std::string& architecture);

// What the work asks of its node, besides the user's settings.
struct NodeChoice {
  // "linux/arm64": what the node must run, unless the user's nodeSelector says otherwise; without an architecture
  // ("linux") any will do.
  std::string platform;
  std::string preferred_architecture;  // "arm64": rather such a node; empty: all are alike.
  std::string node;                    // The only one it may run on; empty: any.
};

// Sets the pod spec's nodeSelector, tolerations, affinity, runtimeClassName, priorityClassName and serviceAccountName.
void schedule_pod(kube::Json& pod_spec, const api::PodSettings& settings, const NodeChoice& choice);

}  // namespace imagebuild::op
