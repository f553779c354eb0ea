// `imagebuild-builder prepare`: with --job for an ImageBuild in a cluster, otherwise as its flags say.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "builder/prepare/prepare.h"
#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct PrepareOptions {
  std::string volume;
  RegistryOptions registries;
  std::string job;           // The file with the ImageBuild; empty: the rest counts.
  std::string mounts;        // What api::job's paths begin with.
  std::string artifact_tag;  // With `job`: the artifacts go to a registry, by tags that begin like this.
  PrepareRequest request;
  std::vector<std::string> build_args;
  std::vector<std::string> build_contexts, hosts, ulimits;  // As imagebuild's options of these names.
  std::string shm_size;
  std::vector<std::string> platforms;
};

// The exit status.
int prepare_command(PrepareOptions& options);

}  // namespace imagebuild::builder
