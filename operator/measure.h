// Counts in the metrics what changed between two statuses of an ImageBuild.
#pragma once

#include "build/reconcile_state.h"
#include "operator/metrics.h"

namespace imagebuild::op {

// `after` was just written in the place of seen.build.status.
void measure(const build::Observed& seen, const api::ImageBuildStatus& after, Metrics& metrics);

}  // namespace imagebuild::op
