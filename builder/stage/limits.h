// The names of resource limits (--ulimit), as Docker and setrlimit(2) have them.
#pragma once

#include <string_view>

#include "api/plan.h"
#include "base/result.h"
#include "builder/stage/run_child.h"

namespace imagebuild::builder {

// kInvalidInput for a name that does not exist or a soft limit above the hard one.
Result<ChildLimit> child_limit(const api::Ulimit& limit);
// "nofile" for RLIMIT_NOFILE.
std::string_view limit_name(int resource);

}  // namespace imagebuild::builder
