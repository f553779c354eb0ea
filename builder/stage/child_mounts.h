// The mounts of a RUN, made by its child process between fork and exec: system calls only, nothing is allocated.
#pragma once

#include "builder/stage/run_child.h"

namespace imagebuild::builder {

struct ChildMountFailure {
  int error = 0;   // errno; 0: everything is mounted.
  int index = -1;  // Of the mount; -1: it is about none of them.
};

// Takes a mount namespace of its own, makes the mounts in it and hides the artifact volume.
ChildMountFailure arrange_mounts(const RunChild& child);

// mkdir -p, in the child: folders of root with mode 0755.
int make_folders(const char* path);

}  // namespace imagebuild::builder
