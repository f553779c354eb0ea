// `imagebuild-builder keep`: for an ImageBuild in a cluster that failed or was cancelled.
#pragma once

#include <string>
#include <vector>

#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct KeepOptions {
  std::string volume;
  RegistryOptions registries;
  std::string job;
  std::string mounts;  // What api::job's paths begin with.
  std::string artifact_tag;
  std::vector<int> stages;  // Indexes into the plan.
};

// The exit status.
int keep_command(const KeepOptions& options);

}  // namespace imagebuild::builder
