// `imagebuild-builder fetch` and `store`: before and beside a stage whose artifacts move through a registry.
#pragma once

#include <string>

#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct TransferOptions {
  std::string volume;
  RegistryOptions registries;
  std::string job;
  std::string mounts;  // What api::job's paths begin with.
  std::string artifact_tag;
  int stage = 0;
};

// The exit status.
int fetch_command(const TransferOptions& options);
int store_command(const TransferOptions& options);

}  // namespace imagebuild::builder
