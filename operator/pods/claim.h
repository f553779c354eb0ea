// The claim for the artifact volume that the pods of one build share.
#pragma once

#include "api/image_build.h"
#include "build/reconcile.h"
#include "kube/resource.h"

namespace imagebuild::op {

kube::Json make_claim(const api::ImageBuild& build, const build::CreateClaim& create);

}  // namespace imagebuild::op
