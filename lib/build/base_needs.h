// Which stages need to know what is in their base image, besides having it.
#pragma once

#include "api/plan.h"

namespace imagebuild::build {

// Whether the stage needs the index of its root base on the volume. One without a container sees nothing else of it.
// One with a container has the base itself, and the index tells it which empty folders and files are the base's and
// which a runtime made to mount something on: that matters where its own layers become part of an image, where a RUN
// has mounts, and where others copy a folder in which a runtime may mount something.
bool needs_base_index(const api::Plan& plan, int stage);

}  // namespace imagebuild::build
