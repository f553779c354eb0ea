// What the containers of a build may do: PodSecurity's `baseline` admits all of it.
#pragma once

#include "kube/resource.h"

namespace imagebuild::op {

// Of the pod: root, whatever USER the image has, with the runtime's own seccomp filter.
kube::Json pod_security();

// Of a container that runs RUN steps. Commands install packages as root and may use sudo or setuid programs, so it has
// the capabilities that container runtimes give by default and `baseline` lets a pod ask for; runtimes differ in them.
kube::Json run_security();

// Of a container that runs our programs only: a read-only root and the three capabilities that root needs to write
// and read other users' files.
kube::Json builder_security();

}  // namespace imagebuild::op
